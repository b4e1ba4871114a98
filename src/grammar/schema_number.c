/*
 * schema_number.c - numbers as texts: ranges and divisors, decided digit by digit.
 *
 * What is written: no leading zeros, no "-0", an exponent only where nothing but the type is demanded. Integers
 * have at most INTEGER_DIGITS digits unless a bound asks for more, and never leave int64_t, which is what readers
 * take. Other numbers have at most PLACES_MAX places behind the point; where a bound is exclusive so many that all
 * digits together are DOUBLE_DIGITS, for as many survive a double, and a text above the bound is above it for every
 * reader too.
 *
 * A number is counted in units of its last possible place, so bounds and divisors are integers: with two places,
 * 0.5 is 50. The texts of a range are a tree of digits; on the way down one knows whether the digits so far are
 * those of the lower bound, of the upper bound, or free, and the remainder by the divisor. Free states with the
 * same digits to come and the same remainder are one node, and remainders that the digits to come cannot tell apart
 * are taken as one: a multiple of 100 needs no states but "two zeros come".
 */
#include "grammar/schema_impl.h"

#include <string.h>

__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 uwide;

#define INTEGER_DIGITS    18 /* where no bound says otherwise */
#define DOUBLE_DIGITS     15
#define PLACES_MAX        17            /* behind the point */
#define DIGITS_MAX        36            /* that are counted with */
#define DIVISOR_MAX       1000000000000 /* in units of its last place */
#define DIVISOR_PLACES    9
#define DIVISORS_MAX      3
#define UNIT_MAX          1000000000000000000
#define NUMBER_STATES_MAX 2000
#define NUMBER_STEPS      40
#define NUMBERS_KEPT      64 /* different numbers of a schema that are remembered */

/* --- decimals ------------------------------------------------------------------------------------------- */

struct decimal {
    wide digits;  /* signed */
    int exponent; /* value = digits * 10^exponent */
};

static wide power10(int n)
{
    wide x = 1;
    while (n-- > 0)
        x *= 10;
    return x;
}

static struct decimal decimal_of(const json_t *v)
{
    struct decimal d = { 0 };
    if (json_is_integer(v)) {
        d.digits = json_integer_value(v);
    } else {
        struct buf text = { 0 };
        json_dump(&text, v); /* the shortest that reads back the same: what the schema's author wrote */
        bool fraction = false;
        const char *p = text.ptr;
        for (p += *p == '-'; *p && *p != 'e' && *p != 'E'; p++) {
            if (*p == '.')
                fraction = true;
            else
                d.digits = d.digits * 10 + (*p - '0');
            d.exponent -= fraction && *p != '.';
        }
        int64_t e = 0;
        if (*p)
            str_to_i64(str_from(p[1] == '+' ? p + 2 : p + 1), &e);
        d.exponent += (int)e;
        d.digits *= text.ptr[0] == '-' ? -1 : 1;
        buf_free(&text);
    }
    while (d.digits && d.digits % 10 == 0) {
        d.digits /= 10;
        d.exponent++;
    }
    d.exponent = d.digits ? d.exponent : 0;
    return d;
}

/* In units of 10^-places, rounded towards up (1) or down (-1); what is too large to count with becomes larger than
 * all that is. */
static wide scaled(const json_t *v, int places, int up)
{
    struct decimal d = decimal_of(v);
    int shift = d.exponent + places, size = 0;
    wide most = power10(DIGITS_MAX);
    for (wide x = d.digits; x; x /= 10)
        size++;
    if (shift >= 0)
        return size + shift > DIGITS_MAX ? (d.digits < 0 ? -most : most) : d.digits * power10(shift);
    if (-shift > DIGITS_MAX)
        return d.digits == 0 || (d.digits > 0) != (up > 0) ? 0 : up;
    wide unit = power10(-shift), whole = d.digits / unit, rest = d.digits % unit;
    if (rest && (rest > 0) == (up > 0))
        whole += up;
    return whole;
}

static int places_of(const json_t *v)
{
    struct decimal d = decimal_of(v);
    return d.exponent < 0 ? -d.exponent : 0;
}

int number_cmp(const json_t *a, const json_t *b)
{
    if (json_is_integer(a) && json_is_integer(b)) {
        json_int_t x = json_integer_value(a), y = json_integer_value(b);
        return (x > y) - (x < y);
    }
    double x = json_number_value(a), y = json_number_value(b);
    return (x > y) - (x < y);
}

bool number_multiple_fits(const json_t *v)
{
    int places = places_of(v);
    return json_is_number(v) && places <= DIVISOR_PLACES && json_number_value(v) <= DIVISOR_MAX &&
           scaled(v, places, 1) <= DIVISOR_MAX;
}

static bool divides(const json_t *divisor, const json_t *v)
{
    int places = places_of(divisor), own = places_of(v);
    if (own > places)
        return false;
    wide unit = scaled(divisor, places, 1);
    struct decimal d = decimal_of(v);
    wide rest = d.digits % unit;
    for (int i = 0; i < d.exponent + places; i++)
        rest = rest * 10 % unit;
    return rest == 0;
}

bool number_accepts(const struct facts *f, const json_t *v)
{
    int low = f->low.number ? number_cmp(v, f->low.number) : 1;
    int high = f->high.number ? number_cmp(f->high.number, v) : 1;
    if (low < 0 || high < 0 || (low == 0 && f->low.exclusive) || (high == 0 && f->high.exclusive))
        return false;
    for (const struct said *m = f->multiples; m; m = m->before)
        if (divides(m->value, v) == m->denied)
            return false;
    return true;
}

/* --- the tree of digits -------------------------------------------------------------------------------------- */

struct free_state {
    int left;
    uwide rests;
    const struct node *node;
};

struct divisor {
    uint64_t unit;
    bool denied; /* it must not divide */
};

struct digits {
    struct compile *c;
    int whole, places; /* digits before and behind the point */
    struct divisor divisors[DIVISORS_MAX];
    size_t n;
    uint64_t modulus; /* a multiple of all divisors, so one remainder tells theirs */
    uwide spread;     /* how many rows of remainders there may be: they fit into one number */
    char low[DIGITS_MAX + 4], high[DIGITS_MAX + 4]; /* as digits 0..9 */
    const struct node *any[DIGITS_MAX + 1];         /* without divisors: by digits to come */
    struct free_state *states;                      /* open addressing */
    size_t used;
    bool overflow;
};

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* What rest becomes, by unit, when left zeros are written behind. */
static uint64_t with_zeros(uint64_t rest, int left, uint64_t unit)
{
    return (uint64_t)((uwide)(rest % unit) * ((uwide)power10(left) % unit) % unit);
}

/* May the text end with this remainder and left zeros that are not written? */
static bool divisors_hold(const struct digits *d, uint64_t rest, int left)
{
    for (size_t i = 0; i < d->n; i++)
        if ((with_zeros(rest, left, d->divisors[i].unit) == 0) == d->divisors[i].denied)
            return false;
    return true;
}

/* May the text end at position at? What it leaves out are zeros behind the point. */
static bool may_end(const struct digits *d, int at, uint64_t rest, bool low)
{
    int total = d->whole + d->places;
    for (int i = at; low && i < total; i++)
        if (d->low[i])
            return false;
    return divisors_hold(d, rest, total - at);
}

/* No digits to come make a multiple. */
static bool no_multiple(uint64_t rest, int left, uint64_t unit)
{
    uint64_t over = with_zeros(rest, left, unit);
    return over && (wide)(unit - over) >= power10(left);
}

/* All that remainders and left digits to come can still decide, as one number: what they cannot tell apart is the
 * same. */
static uwide plain_rests(const struct digits *d, uint64_t rest, int left)
{
    uwide all = 0;
    for (size_t i = 0; i < d->n; i++) {
        uint64_t unit = d->divisors[i].unit, told = unit / gcd(unit, (uint64_t)((uwide)power10(left) % unit));
        all = all * (told + 1) + (no_multiple(rest, left, unit) ? told : rest % told);
    }
    return all;
}

static bool hopeless(const struct digits *d, uint64_t rest, int left)
{
    for (size_t i = 0; i < d->n; i++)
        if (!d->divisors[i].denied && no_multiple(rest, left, d->divisors[i].unit))
            return true;
    return false;
}

static const struct node *rest_of(struct digits *d, int at, uint64_t rest, bool low, bool high);

/* The digits from i on that lead where i leads. The others of them are done with then. */
static const struct node *alike(struct digits *d, const struct node **after, int i, int last)
{
    struct char_range chars[10];
    size_t n = 0;
    for (int j = i; j <= last; j++) {
        uint32_t digit = (uint32_t)('0' + j);
        if (after[j] != after[i])
            continue;
        if (n && chars[n - 1].last + 1 == digit)
            chars[n - 1].last = digit;
        else
            chars[n++] = (struct char_range){ digit, digit };
        after[j] = j > i ? NULL : after[j];
    }
    return node_class(d->c->b, chars, n);
}

static const struct node *digit_then(struct digits *d, int at, uint64_t rest, bool low, bool high)
{
    struct builder *b = d->c->b;
    const struct node *parts[10], *after[10];
    size_t n = 0;
    if (at == d->whole + d->places || !schema_step(d->c, 2))
        return node_never(b);
    int first = low ? d->low[at] : 0, last = high ? d->high[at] : 9;
    for (int i = first; i <= last; i++)
        after[i] = rest_of(d, at + 1, (uint64_t)(((uwide)rest * 10 + (uwide)i) % d->modulus),
                           low && i == first, high && i == last);
    for (int i = first; i <= last; i++)
        if (after[i] && after[i] != node_never(b))
            parts[n++] = seq2(d->c, alike(d, after, i, last), after[i]);
    return node_or(b, parts, n);
}

static const struct node *make_rest(struct digits *d, int at, uint64_t rest, bool low, bool high)
{
    struct builder *b = d->c->b;
    if (at < d->whole)
        return digit_then(d, at, rest, low, high);
    const struct node *more = digit_then(d, at, rest, low, high);
    if (at == d->whole)
        more = seq2(d->c, text_node(d->c, "."), more);
    return may_end(d, at, rest, low) ? or2(d->c, node_empty(b), more) : more;
}

static struct free_state *state_slot(struct digits *d, int left, uwide rests)
{
    size_t cap = NUMBER_STATES_MAX * 2;
    uint64_t mixed = (uint64_t)rests ^ (uint64_t)(rests >> 64) * 3;
    size_t i = (size_t)(((uint64_t)left * 0x9e3779b97f4a7c15u ^ mixed * 0xff51afd7ed558ccdu) % cap);
    while (d->states[i].node && (d->states[i].left != left || d->states[i].rests != rests))
        i = (i + 1) % cap;
    return &d->states[i];
}

/* Any digits to the end. */
static const struct node *any_rest(struct digits *d, int at)
{
    const struct char_range digit = { '0', '9' };
    struct builder *b = d->c->b;
    const struct node *any = node_class(b, &digit, 1);
    size_t whole = at < d->whole ? (size_t)(d->whole - at) : 0, places = (size_t)d->places;
    if (at > d->whole)
        return node_repeat(b, any, 0, places - (size_t)(at - d->whole));
    const struct node *behind = opt(d->c, seq2(d->c, text_node(d->c, "."), node_repeat(b, any, 1, places)));
    return seq2(d->c, node_repeat(b, any, whole, whole), behind);
}

/* What may follow when the digits before at are there. */
static const struct node *rest_of(struct digits *d, int at, uint64_t rest, bool low, bool high)
{
    int left = d->whole + d->places - at;
    if (d->overflow || hopeless(d, rest, left))
        return node_never(d->c->b);
    if (low || high)
        return make_rest(d, at, rest, low, high);
    if (!d->n)
        return d->any[left] ? d->any[left] : (d->any[left] = any_rest(d, at));
    uwide rests = plain_rests(d, rest, left);
    struct free_state *known = state_slot(d, left, rests);
    if (known->node)
        return known->node;
    d->overflow = ++d->used > NUMBER_STATES_MAX;
    const struct node *x = make_rest(d, at, rest, false, false);
    *state_slot(d, left, rests) = (struct free_state){ left, rests, x };
    return x;
}

/* Numbers from low to high with d->whole digits before the point. */
static const struct node *of_size(struct digits *d, wide low, wide high)
{
    for (int i = d->whole + d->places; i-- > 0; low /= 10, high /= 10) {
        d->low[i] = (char)(low % 10);
        d->high[i] = (char)(high % 10);
    }
    return rest_of(d, 0, 0, true, true);
}

/* Numbers from low to high, neither below 0. */
static const struct node *magnitudes(struct digits *d, wide low, wide high)
{
    const struct node *x = node_never(d->c->b);
    for (d->whole = 1; d->whole + d->places <= DIGITS_MAX; d->whole++) {
        wide first = d->whole == 1 ? 0 : power10(d->whole - 1 + d->places),
             last = power10(d->whole + d->places) - 1;
        first = low > first ? low : first;
        last = high < last ? high : last;
        if (first <= last)
            x = or2(d->c, x, of_size(d, first, last));
    }
    return x;
}

/* --- a number's facts as texts ---------------------------------------------------------------------------------- */

static int whole_digits(const struct bound *b)
{
    int n = 0;
    if (b->number)
        for (wide x = scaled(b->number, 0, 1); x; x /= 10)
            n++;
    return n;
}

static bool most_places(const struct said *multiples, int *places)
{
    bool any = false;
    for (const struct said *m = multiples; m; m = m->before) {
        int own = places_of(m->value);
        if (!m->denied && (!any || own > *places))
            *places = own;
        any |= !m->denied;
    }
    return any;
}

/* How many places behind the point a number may have. */
static int places_for(const struct facts *f)
{
    int places = 0;
    if (!(f->types & TYPE_FRACTION) || most_places(f->multiples, &places))
        return places * !!(f->types & TYPE_FRACTION);
    bool exclusive = (f->low.number && f->low.exclusive) || (f->high.number && f->high.exclusive);
    if (!exclusive)
        return PLACES_MAX;
    int low = whole_digits(&f->low), high = whole_digits(&f->high);
    places = DOUBLE_DIGITS - (low > high ? low : high);
    return places < 1 ? !(f->types & TYPE_INTEGER) : places;
}

/* A number that is a multiple of 10^-places * unit is a multiple of v. */
static uint64_t unit_of(const json_t *v, int places)
{
    int own = places_of(v), shift = own > places ? own - places : 0;
    uint64_t unit = (uint64_t)scaled(v, places + shift, 1);
    return unit / gcd(unit, (uint64_t)((uwide)power10(shift) % unit));
}

static bool add_divisor(struct digits *d, const json_t *v, bool denied)
{
    if (d->n == DIVISORS_MAX || scaled(v, places_of(v) > d->places ? places_of(v) : d->places, 1) > UNIT_MAX)
        return false;
    uint64_t unit = unit_of(v, d->places);
    uwide modulus = (uwide)(d->modulus / gcd(d->modulus, unit)) * unit;
    if (modulus > UNIT_MAX || unit + 1 > ~(uwide)0 / d->spread)
        return false;
    d->spread *= unit + 1;
    d->divisors[d->n++] = (struct divisor){ unit, denied };
    d->modulus = (uint64_t)modulus;
    return true;
}

/* False: they are too many, or too large. */
static bool find_divisors(struct digits *d, const struct facts *f)
{
    bool fits = true;
    d->modulus = d->spread = 1;
    for (const struct said *m = f->multiples; m && fits; m = m->before)
        fits = add_divisor(d, m->value, m->denied);
    if (!(f->types & TYPE_INTEGER)) /* "no integer" is a number that 1 does not divide */
        fits = fits && add_divisor(d, json_array_get(d->c->made, 0), true);
    return fits;
}

/* The bounds in units, inclusive. */
static void find_range(const struct facts *f, int places, wide *low, wide *high)
{
    bool exact = f->types & TYPE_FRACTION || f->multiples;
    wide unit = power10(places), most = unit * INT64_MAX;
    wide usual = unit * power10(exact ? DOUBLE_DIGITS : INTEGER_DIGITS) - 1;
    *low = -usual;
    *high = usual;
    if (f->low.number) {
        *low = scaled(f->low.number, places, 1);
        if (f->low.exclusive && *low == scaled(f->low.number, places, -1))
            ++*low;
        *high = *low > usual / 10 ? most : usual;
    }
    if (f->high.number) {
        *high = scaled(f->high.number, places, -1);
        if (f->high.exclusive && *high == scaled(f->high.number, places, 1))
            --*high;
        if (!f->low.number)
            *low = *high < -usual / 10 ? -most : -usual;
    }
    *low = *low < -most ? -most : *low;
    *high = *high > most ? most : *high;
}

/* Texts of numbers that are equal to one that is not allowed. */
static const struct node *spellings(struct compile *c, const json_t *v, int places)
{
    struct digits d = { .c = c, .places = places, .modulus = 1 }; /* without multiples it needs no states */
    wide at = scaled(v, places, 1);
    const struct node *x =
        at == scaled(v, places, -1) ? magnitudes(&d, at < 0 ? -at : at, at < 0 ? -at : at) : node_never(c->b);
    return at < 0 ? seq2(c, text_node(c, "-"), x) : x;
}

static const struct node *without_excepted(struct compile *c, const struct facts *f, int places,
                                           const struct node *x)
{
    size_t n, numbers = 0;
    const json_t **all = said_in_order(c, f->except, &n);
    const struct node **texts = arena_array(&c->arena, n + 1, sizeof *texts);
    for (size_t i = 0; i < n; i++)
        if (json_is_number(all[i]))
            texts[numbers++] = spellings(c, all[i], places);
    return numbers ? node_and(c->b, x, node_not(c->b, node_or(c->b, texts, numbers))) : x;
}

/* NULL: too many states. */
static const struct node *counted(struct compile *c, const struct facts *f)
{
    struct digits d = { .c = c, .places = places_for(f) };
    if (!find_divisors(&d, f))
        return NULL;
    wide low, high;
    find_range(f, d.places, &low, &high);
    d.states = mem_array(NUMBER_STATES_MAX * 2, sizeof *d.states);
    const struct node *x = node_never(c->b);
    if (high >= 0)
        x = magnitudes(&d, low > 0 ? low : 0, high);
    if (low < 0) {
        wide least = high < 0 ? -high : 1;
        /* The states know no sign. */
        x = or2(c, x, seq2(c, text_node(c, "-"), magnitudes(&d, least, -low)));
        schema_step(c, NUMBER_STEPS);
    }
    mem_free(d.states);
    return d.overflow ? NULL : without_excepted(c, f, d.places, x);
}

/* -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?, each part of as many digits as never overflow a double. */
static const struct node *free_number(struct compile *c)
{
    const struct char_range digit = { '0', '9' }, first = { '1', '9' }, e[] = { { 'e', 'e' }, { 'E', 'E' } },
                            sign[] = { { '+', '+' }, { '-', '-' } };
    struct builder *b = c->b;
    const struct node *any = node_class(b, &digit, 1);
    const struct node *whole = or2(
        c, text_node(c, "0"), seq2(c, node_class(b, &first, 1), node_repeat(b, any, 0, DOUBLE_DIGITS - 1)));
    const struct node *fraction = seq2(c, text_node(c, "."), node_repeat(b, any, 1, PLACES_MAX));
    const struct node *exponent[] = { node_class(b, e, 2), opt(c, node_class(b, sign, 2)),
                                      node_repeat(b, any, 1, 2) };
    const struct node *parts[] = { opt(c, text_node(c, "-")), whole, opt(c, fraction),
                                   opt(c, node_seq(b, exponent, ARRAY_LEN(exponent))) };
    return node_seq(b, parts, ARRAY_LEN(parts));
}

/* 0|-?[1-9][0-9]* */
static const struct node *free_integer(struct compile *c)
{
    const struct char_range digit = { '0', '9' }, first = { '1', '9' };
    const struct node *more = node_repeat(c->b, node_class(c->b, &digit, 1), 0, INTEGER_DIGITS - 1);
    const struct node *parts[] = { opt(c, text_node(c, "-")), node_class(c->b, &first, 1), more };
    return or2(c, text_node(c, "0"), node_seq(c->b, parts, ARRAY_LEN(parts)));
}

static bool number_excepted(const struct facts *f)
{
    for (const struct said *e = f->except; e; e = e->before)
        if (json_is_number(e->value))
            return true;
    return false;
}

static const struct node *make_number(struct compile *c, const struct facts *f)
{
    bool bare = !f->low.number && !f->high.number && !f->multiples && !number_excepted(f);
    if (bare && f->types & TYPE_INTEGER)
        return f->types & TYPE_FRACTION ? free_number(c) : free_integer(c);
    const struct node *x = counted(c, f);
    if (x)
        return x;
    const json_t *said = facts_say(f, "multipleOf");
    schema_cannot(c, said ? said : f->applied->value, "multipleOf",
                  "counting with this divisor and these bounds takes too many states");
    struct facts rest = *f;
    rest.multiples = NULL;
    x = c->code ? NULL : counted(c, &rest);
    return x ? x : node_never(c->b);
}

/* --- numbers that were asked for before --------------------------------------------------------------------- */

struct known_number {
    unsigned types;
    struct bound low, high;
    const struct node *node;
    struct known_number *next;
};

static bool same_bound(const struct bound *a, const struct bound *b)
{
    if (!a->number || !b->number)
        return a->number == b->number;
    return a->exclusive == b->exclusive && json_equal(a->number, b->number);
}

const struct node *number_node(struct compile *c, const struct facts *f)
{
    unsigned types = f->types & TYPE_NUMBER;
    if (f->multiples || number_excepted(f) || !schema_step(c, 1))
        return make_number(c, f);
    for (struct known_number *k = c->numbers; k; k = k->next)
        if (k->types == types && same_bound(&k->low, &f->low) && same_bound(&k->high, &f->high))
            return k->node;
    const struct node *x = make_number(c, f);
    if (c->numbers_n == NUMBERS_KEPT)
        return x;
    struct known_number *k = arena_alloc(&c->arena, sizeof *k);
    *k = (struct known_number){ types, f->low, f->high, x, c->numbers };
    c->numbers = k;
    c->numbers_n++;
    return x;
}
