/*
 * chart.c - accuracy against tokens as an SVG document.
 *
 * Its own writer: what libraries in C draw charts (plplot, cairo) bring fonts and rasters for what is forty lines of text
 * here, and none places labels so that they do not collide.
 *
 * x is in powers of ten with ticks at 1, 2 and 5. Intervals are drawn as whiskers, points of a series are joined. A label
 * stands beside its point, on the nearest free place: clear of labels, points and whiskers, else of labels and points, with
 * a thin line back where it had to move. A label for which there is no place at all is left to the point's tooltip.
 * Colours follow the reader's light or dark scheme; series also differ in the shape of their marks.
 *
 * Ownership: everything is written to out. Threads: no state.
 */
#include "exam/run_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH       860.0
#define HEIGHT      520.0
#define LEFT        64.0
#define RIGHT       24.0
#define TOP         44.0
#define BOTTOM      56.0
#define LABEL_EM    6.6  /* width of a character at 11 px, rather too wide */
#define LABEL_LINE  14.0 /* height of a label */
#define MARK        5.0  /* half a mark's size */
#define LABEL_STEPS 30   /* places tried above and below */
#define SERIES_MAX  6    /* colours; more begin again */

struct box {
    double x0, y0, x1, y1;
};

struct chart {
    struct buf *out;
    const struct chart_point *points;
    size_t len;
    double x0, x1, y0, y1; /* of the axes, x as logarithms */
    struct box *taken;     /* by labels that are placed */
    size_t taken_len;
};

static double place_x(const struct chart *c, double x)
{
    return LEFT + (log10(x) - c->x0) / (c->x1 - c->x0) * (WIDTH - LEFT - RIGHT);
}

static double place_y(const struct chart *c, double y)
{
    return HEIGHT - BOTTOM - (y - c->y0) / (c->y1 - c->y0) * (HEIGHT - TOP - BOTTOM);
}

static void put_escaped(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '&')
            buf_puts(out, "&amp;");
        else if (*text == '<')
            buf_puts(out, "&lt;");
        else if (*text == '>')
            buf_puts(out, "&gt;");
        else
            buf_putc(out, (unsigned char)*text < ' ' ? ' ' : *text);
    }
}

/* --- the axes ------------------------------------------------------------------------------------------------- */

/* The k-th of ..., 1, 2, 5, 10, 20, 50, ...; 0 is 1. */
static double tick(int k)
{
    static const double steps[] = { 1, 2, 5 };
    int decade = k >= 0 ? k / 3 : -((2 - k) / 3);
    return steps[k - 3 * decade] * pow(10, decade);
}

static int tick_below(double x)
{
    int k = 3 * (int)floor(log10(x));
    while (tick(k + 1) <= x)
        k++;
    return k;
}

static void set_axes(struct chart *c)
{
    double least = INFINITY, most = 0, low = 1, high = 0;
    for (size_t i = 0; i < c->len; i++) {
        least = fmin(least, c->points[i].x);
        most = fmax(most, c->points[i].x);
        low = fmin(low, c->points[i].low);
        high = fmax(high, c->points[i].high);
    }
    if (c->len == 0)
        least = most = 100;
    c->x0 = log10(tick(tick_below(least * 0.9)));
    c->x1 = log10(tick(tick_below(most * 1.1) + 1));
    c->y0 = floor(low * 10 + 1e-9) / 10;
    c->y1 = ceil(high * 10 - 1e-9) / 10;
    if (c->y1 <= c->y0) {
        c->y0 = 0;
        c->y1 = 1;
    }
}

static void put_axes(struct chart *c, const char *title, const char *x_title)
{
    buf_printf(c->out, "<text class=\"title\" x=\"%.0f\" y=\"24\">", LEFT);
    put_escaped(c->out, title);
    buf_puts(c->out, "</text>\n");
    for (int k = tick_below(pow(10, c->x0) * 1.0001); log10(tick(k)) <= c->x1 + 1e-9; k++)
        buf_printf(c->out,
                   "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/><text class=\"tick\" text-anchor=\"middle\" "
                   "x=\"%.1f\" "
                   "y=\"%.1f\">%g</text>\n",
                   place_x(c, tick(k)), TOP, HEIGHT - BOTTOM, place_x(c, tick(k)), HEIGHT - BOTTOM + 18,
                   tick(k));
    for (int y = (int)lround(c->y0 * 10); y <= (int)lround(c->y1 * 10); y++)
        buf_printf(
            c->out,
            "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/><text class=\"tick\" text-anchor=\"end\" x=\"%.1f\" "
            "y=\"%.1f\">%d%%</text>\n",
            LEFT, place_y(c, y / 10.0), WIDTH - RIGHT, LEFT - 8, place_y(c, y / 10.0) + 4, 10 * y);
    buf_printf(c->out, "<text class=\"tick\" text-anchor=\"middle\" x=\"%.1f\" y=\"%.1f\">",
               (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14);
    put_escaped(c->out, x_title);
    buf_puts(c->out, ", logarithmic; whiskers: 95% intervals</text>\n");
}

/* --- points --------------------------------------------------------------------------------------------------- */

static int by_x(const void *a, const void *b)
{
    const struct chart_point *p = *(const struct chart_point *const *)a,
                             *q = *(const struct chart_point *const *)b;
    int s = (p->series > q->series) - (p->series < q->series), x = (p->x > q->x) - (p->x < q->x);
    return s ? s : x ? x : (p > q) - (p < q);
}

static void put_lines(struct chart *c)
{
    const struct chart_point **order = mem_array(c->len, sizeof *order);
    for (size_t i = 0; i < c->len; i++)
        order[i] = &c->points[i];
    qsort(order, c->len, sizeof *order, by_x);
    for (size_t i = 0; i + 1 < c->len; i++)
        if (order[i]->series == order[i + 1]->series)
            buf_printf(c->out, "<path class=\"line l%zu\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n",
                       order[i]->series % SERIES_MAX, place_x(c, order[i]->x), place_y(c, order[i]->y),
                       place_x(c, order[i + 1]->x), place_y(c, order[i + 1]->y));
    mem_free(order);
}

static void put_mark(struct chart *c, const struct chart_point *p)
{
    double x = place_x(c, p->x), y = place_y(c, p->y), r = MARK;
    size_t s = p->series % SERIES_MAX;
    buf_printf(c->out, "<path class=\"whisker l%zu\" d=\"M%.1f %.1fV%.1fM%.1f %.1fh6m-6 %.1fh6\"/>\n", s, x,
               place_y(c, p->low), place_y(c, p->high), x - 3, place_y(c, p->high),
               place_y(c, p->low) - place_y(c, p->high));
    switch (s % 3) {
    case 0:
        buf_printf(c->out, "<circle class=\"mark f%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\">", s, x, y, r);
        break;
    case 1:
        buf_printf(c->out, "<path class=\"mark f%zu\" d=\"M%.1f %.1fh%.1fv%.1fh-%.1fz\">", s, x - r, y - r,
                   2 * r, 2 * r, 2 * r);
        break;
    default:
        buf_printf(c->out, "<path class=\"mark f%zu\" d=\"M%.1f %.1fl%.1f %.1fl-%.1f %.1fl-%.1f -%.1fz\">", s,
                   x, y - r - 1, r + 1, r + 1, r + 1, r + 1, r + 1, r + 1);
    }
    buf_puts(c->out, "<title>");
    put_escaped(c->out, p->label);
    buf_printf(c->out, ": %.1f%% (%.1f to %.1f), %.1f tokens</title>%s\n", 100 * p->y, 100 * p->low,
               100 * p->high, p->x, s % 3 ? "</path>" : "</circle>");
}

/* --- labels --------------------------------------------------------------------------------------------------- */

static bool meet(struct box a, struct box b)
{
    return a.x0 < b.x1 && b.x0 < a.x1 && a.y0 < b.y1 && b.y0 < a.y1;
}

static bool is_free(const struct chart *c, struct box b, bool whiskers)
{
    if (b.x0 < LEFT || b.x1 > WIDTH - 4 || b.y0 < TOP - LABEL_LINE || b.y1 > HEIGHT - BOTTOM)
        return false;
    for (size_t i = 0; i < c->taken_len; i++)
        if (meet(b, c->taken[i]))
            return false;
    for (size_t i = 0; i < c->len; i++) {
        const struct chart_point *p = &c->points[i];
        double x = place_x(c, p->x), y = place_y(c, p->y);
        if (meet(b, (struct box){ x - MARK - 1, y - MARK - 1, x + MARK + 1, y + MARK + 1 }))
            return false;
        if (whiskers && meet(b, (struct box){ x - 4, place_y(c, p->high), x + 4, place_y(c, p->low) }))
            return false;
    }
    return true;
}

/* The nearest free place right or left of the point, up or down. */
static bool find_place(const struct chart *c, const struct chart_point *p, bool whiskers, struct box *out)
{
    double width = LABEL_EM * (double)strlen(p->label), x = place_x(c, p->x), y = place_y(c, p->y);
    for (int step = 0; step <= 2 * LABEL_STEPS; step++)
        for (int left = 0; left < 2; left++) {
            double middle = y + (step % 2 ? -1 : 1) * ((step + 1) / 2) * (LABEL_LINE + 1);
            double start = left ? x - MARK - 4 - width : x + MARK + 4;
            *out = (struct box){ start, middle - LABEL_LINE / 2, start + width, middle + LABEL_LINE / 2 };
            if (is_free(c, *out, whiskers))
                return true;
        }
    return false;
}

static void put_label(struct chart *c, const struct chart_point *p)
{
    struct box b;
    double x = place_x(c, p->x), y = place_y(c, p->y);
    if (!find_place(c, p, true, &b) && !find_place(c, p, false, &b))
        return;
    c->taken[c->taken_len++] = b;
    double middle = (b.y0 + b.y1) / 2;
    if (fabs(middle - y) > 1)
        buf_printf(c->out, "<path class=\"leader\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n", x, y,
                   b.x0 > x ? b.x0 - 1 : b.x1 + 1, middle);
    bool left = b.x1 < x; /* then it ends at the point, however wide its font is in the end */
    buf_printf(c->out, "<text class=\"label\" x=\"%.1f\" y=\"%.1f\"%s>", left ? b.x1 : b.x0, b.y1 - 3,
               left ? " text-anchor=\"end\"" : "");
    put_escaped(c->out, p->label);
    buf_puts(c->out, "</text>\n");
}

/* Colours that people who see few tell apart (after Okabe and Ito), darker on light ground, lighter on dark. Without
 * CSS variables, which not every viewer of SVG knows. */
static const char *const light[SERIES_MAX] = {
    "#0060a8", "#b34700", "#00775a", "#a03070", "#6b5b00", "#444"
};
static const char *const dark[SERIES_MAX] = {
    "#6cb8f0", "#f0955a", "#4fcfa6", "#e590c0", "#e0d060", "#c8c8c8"
};

static void put_colours(struct buf *out, const char *const *colours)
{
    for (int i = 0; i < SERIES_MAX; i++)
        buf_printf(out, ".f%d{fill:%s}.l%d{stroke:%s}%s", i, colours[i], i, colours[i],
                   i % 3 == 2 ? "\n" : "");
}

static void put_style(struct buf *out)
{
    buf_puts(out, "<style>\n"
                  "svg{background:#fff;font-family:system-ui,sans-serif;font-size:11px}\n"
                  "text{fill:#222}.title{font-size:15px;font-weight:600}.tick{fill:#555}\n"
                  ".grid{stroke:#e2e2e2}.leader{stroke:#999;stroke-width:.7}\n"
                  ".line{fill:none;stroke-width:1.5;opacity:.6}.whisker{fill:none}\n");
    put_colours(out, light);
    buf_puts(out,
             "@media(prefers-color-scheme:dark){svg{background:#14161a}text{fill:#e8e8e8}.tick{fill:#aaa}"
             ".grid{stroke:#30343a}\n");
    put_colours(out, dark);
    buf_puts(out, "}\n</style>\n");
}

void chart_put(struct buf *out, const char *title, const char *x_title, const struct chart_point *points,
               size_t len)
{
    struct chart c = { .out = out, .points = points, .len = len, .taken = mem_array(len, sizeof *c.taken) };
    set_axes(&c);
    buf_printf(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\" "
        "role=\"img\">\n",
        WIDTH, HEIGHT, WIDTH, HEIGHT);
    put_style(out);
    put_axes(&c, title, x_title);
    put_lines(&c);
    for (size_t i = 0; i < len; i++)
        put_mark(&c, &points[i]);
    for (size_t i = 0; i < len; i++)
        put_label(&c, &points[i]);
    buf_puts(out, "</svg>\n");
    mem_free(c.taken);
}
