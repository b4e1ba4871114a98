/*
 * logic.c - truth values, knights and knaves, orders, syllogisms.
 *
 * Every case is drawn so that its answer is the only one: knights and knaves by trying all assignments, orders by a full
 * chain. Working is the shortest that decides: expressions inside out, suppositions until one fits, chains link by link.
 */
#include "exam/words_impl.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* --- truth values: a tree of and, or, not, xor in prefix order in own ------------------------------------------------ */

#define NODES_MAX 32

struct node {
    char op; /* 't' 'f' '&' '|' '^' '!' '>' */
    signed char left, right;
    bool value;
};
struct formula {
    struct node nodes[NODES_MAX];
    int len, style, root;
};

static int add_node(struct formula *f, char op, int left, int right)
{
    struct node *n = &f->nodes[f->len];
    bool a = left >= 0 && f->nodes[left].value, b = right >= 0 && f->nodes[right].value;
    n->op = op;
    n->left = (signed char)left;
    n->right = (signed char)right;
    n->value = op == 't'   ? true
               : op == 'f' ? false
               : op == '!' ? !a
               : op == '&' ? a && b
               : op == '|' ? a || b
               : op == '^' ? a != b
                           : !a || b;
    return f->len++;
}

/* A tree with so many operations. */
static int grow(struct rng *rng, struct formula *f, int ops, bool all)
{
    static const char few[] = "&|&|", many[] = "&|^>&|";
    if (ops == 0)
        return add_node(f, rng_below(rng, 2) ? 't' : 'f', -1, -1);
    if (rng_below(rng, 4) == 0 || (ops == 1 && rng_below(rng, 3) == 0))
        return add_node(f, '!', grow(rng, f, ops - 1, all), -1);
    int left_ops = (int)rng_below(rng, (uint64_t)ops);
    int left = grow(rng, f, left_ops, all), right = grow(rng, f, ops - 1 - left_ops, all);
    return add_node(f, all ? many[rng_below(rng, 6)] : few[rng_below(rng, 4)], left, right);
}

static void draw_boolean(struct rng *rng, int level, struct exam_case *c)
{
    struct formula f = { 0 };
    f.root = grow(rng, &f, level, level >= 4);
    f.style = (int)rng_below(rng, 4);
    case_keep(c, &f, sizeof f);
    c->few = level <= 3;
    int64_t shape[NODES_MAX];
    for (int i = 0; i < f.len; i++)
        shape[i] = f.nodes[i].op * 4096 + (f.nodes[i].left + 1) * 64 + f.nodes[i].right + 1;
    c->key = case_key("boolean", shape, (size_t)f.len);
}

static const struct style {
    const char *yes, *no, *and, * or, *xor, *not, *implies;
} styles[] = {
    { "true", "false", " and ", " or ", " xor ", "not ", " implies " },
    { "True", "False", " and ", " or ", " xor ", "not ", " implies " },
    { "true", "false", " && ", " || ", " ^ ", "!", " -> " },
    { "T", "F", " & ", " | ", " xor ", "~", " -> " },
};

static void put_formula(const struct formula *f, int at, int known, const struct style *s, bool outer,
                        struct buf *out)
{
    const struct node *n = &f->nodes[at];
    if (n->op == 't' || n->op == 'f' || at < known) {
        buf_puts(out, n->value ? s->yes : s->no);
        return;
    }
    if (n->op == '!') {
        buf_puts(out, s->not );
        put_formula(f, n->left, known, s, false, out);
        return;
    }
    buf_puts(out, outer ? "" : "(");
    put_formula(f, n->left, known, s, false, out);
    buf_puts(out, n->op == '&' ? s->and : n->op == '|' ? s->or : n->op == '^' ? s->xor : s->implies);
    put_formula(f, n->right, known, s, false, out);
    buf_puts(out, outer ? "" : ")");
}

static const char *const boolean_wordings[] = {
    "Evaluate {}.",
    "What is the value of {}?",
    "Is {} true or false?",
    "Evaluate the boolean expression {}.",
    "Compute {}.",
    "Simplify {} to true or false.",
    "{} = ?",
    "Find the truth value of {}.",
    "What does {} evaluate to?",
    "Work out {}.",
    "Decide whether {} is true or false.",
    "The expression is {}. Is it true or false?",
    "What is the result of {}?",
    "!Reduce {} to a single truth value.",
    "!Say whether {} holds.",
    "!To what truth value does {} come?",
};

static bool ask_boolean(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    struct formula f;
    struct buf text = { 0 };
    bool held;
    case_recall(c, &f, sizeof f);
    put_formula(&f, f.root, 0, &styles[f.style], true, &text);
    wording_put(t->question, wording_pick(t->rng, WORDINGS(boolean_wordings), withheld, &held),
                buf_str(&text));
    buf_free(&text);
    return held;
}

static void put_node_line(const struct formula *f, int at, struct buf *out)
{
    put_formula(f, at, at, &styles[0], true, out);
    buf_printf(out, " = %s\n", f->nodes[at].value ? "true" : "false");
}

/* Every operation, from the inside; or from the right. */
static void put_operations(const struct formula *f, int at, bool right_first, struct exam_text *t,
                           struct buf *out)
{
    const struct node *n = &f->nodes[at];
    if (n->op == 't' || n->op == 'f')
        return;
    if (right_first && n->right >= 0)
        put_operations(f, n->right, right_first, t, out);
    put_operations(f, n->left, right_first, t, out);
    if (!right_first && n->right >= 0)
        put_operations(f, n->right, right_first, t, out);
    if (t && t->slips > 0 && rng_below(t->rng, 3) == 0) {
        put_formula(f, at, at, &styles[0], true, out);
        buf_printf(out, " = %s\nwait\n", n->value ? "false" : "true");
        t->slips--;
    }
    put_node_line(f, at, out);
}

static void answer_word(struct exam_text *t, const char *word)
{
    buf_puts(t->answer, word);
    buf_printf(t->visible, "Answer: %s", word);
}

static void solve_boolean(const struct exam_case *c, struct exam_text *t)
{
    struct formula f;
    case_recall(c, &f, sizeof f);
    if (t->effort > EXAM_LOW) {
        put_formula(&f, f.root, 0, &styles[0], true, t->trace);
        buf_putc(t->trace, '\n');
    }
    put_operations(&f, f.root, false, t, t->trace);
    buf_puts(t->recheck, "check\n");
    put_operations(&f, f.root, true, NULL, t->recheck);
    if (t->effort == EXAM_XHIGH) {
        buf_puts(t->recheck, "again\n");
        for (int known = 1; known <= f.len; known++)
            if (known == f.len || f.nodes[known].left >= 0) {
                put_formula(&f, f.root, known, &styles[0], true, t->recheck);
                buf_putc(t->recheck, '\n');
            }
    }
    buf_puts(t->recheck, "ok\n");
    answer_word(t, f.nodes[f.root].value ? "true" : "false");
}

/* "True", "T" and "yes" are true. */
static bool check_truth(struct str reply, struct str answer)
{
    struct str given = exam_extract(reply);
    if (given.len && (given.ptr[given.len - 1] == '.' || given.ptr[given.len - 1] == '!'))
        given.len--;
    bool yes = str_eq_nocase(given, STR("true")) || str_is(given, "T"),
         no = str_eq_nocase(given, STR("false")) || str_is(given, "F");
    return str_is(answer, "true") ? yes : no;
}

/* --- knights and knaves ------------------------------------------------------------------------------------------------ */

#define ISLANDERS_MAX 5

enum claim { IS_KNAVE, IS_KNIGHT, SAME, DIFFERENT, BOTH_KNIGHTS, A_KNAVE_AMONG, EXACTLY, CLAIMS };

struct island {
    int people, one; /* asked about one, or -1: who are the knights */
    struct {
        enum claim claim;
        signed char a, b; /* whom it is about; EXACTLY: so many knights */
    } says[ISLANDERS_MAX];
    unsigned knights; /* the solution, a bit for each */
    struct cast cast;
};

static int bits(unsigned set)
{
    int count = 0;
    for (; set; set &= set - 1)
        count++;
    return count;
}

static bool claim_true(const struct island *s, int who, unsigned knights)
{
    bool a = knights >> s->says[who].a & 1, b = knights >> s->says[who].b & 1;
    switch (s->says[who].claim) {
    case IS_KNAVE: return !a;
    case IS_KNIGHT: return a;
    case SAME: return a == b;
    case DIFFERENT: return a != b;
    case BOTH_KNIGHTS: return a && b;
    case A_KNAVE_AMONG: return !a || !b;
    default: return bits(knights) == s->says[who].a;
    }
}

static bool fits(const struct island *s, unsigned knights)
{
    for (int i = 0; i < s->people; i++)
        if (claim_true(s, i, knights) != (bool)(knights >> i & 1))
            return false;
    return true;
}

/* Levels 1-2 two people, 3-4 three, 5-6 four, 7-8 five; odd levels have mostly claims about one.
 * (Were there no others, turning everybody round would always be a second solution.) */
static void draw_knights(struct rng *rng, int level, struct exam_case *c)
{
    struct island s = { .people = 2 + (level - 1) / 2 };
    for (int found = 0; found != 1;) {
        for (int i = 0; i < s.people; i++) {
            int a = (int)rng_below(rng, (uint64_t)s.people), b = (int)rng_below(rng, (uint64_t)s.people);
            enum claim claim = (enum claim)rng_below(rng, level % 2 && rng_below(rng, 3) ? 2 : CLAIMS);
            if (claim <= IS_KNIGHT) {
                while (a == i)
                    a = (int)rng_below(rng, (uint64_t)s.people);
                b = a;
            } else if (claim == EXACTLY) {
                a = (int)rng_range(rng, 1, s.people);
                b = 0;
            } else {
                while (a == b)
                    b = (int)rng_below(rng, (uint64_t)s.people);
            }
            s.says[i].claim = claim;
            s.says[i].a = (signed char)(claim == EXACTLY || a < b ? a : b);
            s.says[i].b = (signed char)(claim == EXACTLY || a < b ? b : a);
        }
        found = 0;
        for (unsigned k = 0; k < 1u << s.people; k++)
            if (fits(&s, k)) {
                s.knights = k;
                found++;
            }
    }
    s.one = rng_below(rng, 2) ? (int)rng_below(rng, (uint64_t)s.people) : -1;
    int64_t shape[2 * ISLANDERS_MAX + 1];
    size_t len = 0;
    for (int i = 0; i < s.people; i++)
        shape[len++] = (int)s.says[i].claim * 64 + s.says[i].a * 8 + s.says[i].b;
    shape[len++] = s.one;
    cast_draw(rng, &s.cast, false);
    case_keep(c, &s, sizeof s);
    c->few = level <= 3;
    c->key = case_key("knights", shape, len);
}

static const char *name_of(const struct island *s, int who)
{
    return s->cast.people[who].name;
}

/* What somebody says, in their own words; plain: as "Ben is a knave". */
static void put_claim(const struct island *s, struct rng *rng, int who, bool plain, struct buf *out)
{
    int a = s->says[who].a, b = s->says[who].b;
    bool me =
        !plain && (a == who || b == who) && s->says[who].claim > IS_KNIGHT && s->says[who].claim != EXACTLY;
    const char *one = name_of(s, a == who ? b : a), *first = name_of(s, a), *second = name_of(s, b);
    int form = plain ? 0 : (int)rng_below(rng, 2);
    switch (s->says[who].claim) {
    case IS_KNAVE: buf_printf(out, form ? "%s always lies" : "%s is a knave", first); break;
    case IS_KNIGHT: buf_printf(out, form ? "%s always tells the truth" : "%s is a knight", first); break;
    case SAME:
        if (me)
            buf_printf(out, form ? "%s and I are of the same kind" : "I am the same as %s", one);
        else
            buf_printf(out, "%s and %s are the same", first, second);
        break;
    case DIFFERENT:
        if (me)
            buf_printf(out, form ? "%s and I are different" : "I am not the same as %s", one);
        else
            buf_printf(out, "%s and %s are different", first, second);
        break;
    case BOTH_KNIGHTS:
        if (me)
            buf_printf(out, form ? "%s and I are both knights" : "both %s and I are knights", one);
        else
            buf_printf(out, "%s and %s are both knights", first, second);
        break;
    case A_KNAVE_AMONG:
        if (me)
            buf_printf(out, form ? "at least one of %s and me is a knave" : "%s or I am a knave", one);
        else
            buf_printf(out, "at least one of %s and %s is a knave", first, second);
        break;
    default:
        buf_printf(out, a == 1 ? "exactly %d of us is a knight" : "exactly %d of us are knights", a);
        break;
    }
}

static const char *const island_wordings[] = {
    "On an island, knights always tell the truth and knaves always lie.",
    "Knights always tell the truth, knaves always lie.",
    "Each of these people is a knight, who always tells the truth, or a knave, who always lies.",
    "In a village live knights, who never lie, and knaves, who never tell the truth.",
    "A knight tells only the truth; a knave tells only lies.",
    "Some people are knights (truth-tellers) and the others are knaves (liars).",
    "!You meet people who are knights, and speak only the truth, or knaves, and speak only lies.",
    "!Among these people, knights are always honest and knaves never are.",
};

static void put_names(const struct island *s, unsigned set, struct buf *out)
{
    int left = bits(set);
    if (!left)
        buf_puts(out, "nobody");
    for (int i = 0; i < s->people; i++)
        if (set >> i & 1) {
            left--;
            buf_printf(out, "%s%s", name_of(s, i), left > 1 ? ", " : left == 1 ? " and " : "");
        }
}

static bool ask_knights(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    static const char *const which[] = { "Which of them are knights?", "Who are the knights?",
                                         "Name the knights.", "Who tells the truth?" };
    struct island s;
    bool held;
    struct buf *out = t->question;
    case_recall(c, &s, sizeof s);
    buf_printf(out, "%s ", wording_pick(t->rng, WORDINGS(island_wordings), withheld, &held));
    if (rng_below(t->rng, 2)) {
        buf_puts(out, "You meet ");
        put_names(&s, (1u << s.people) - 1, out);
        buf_puts(out, ". ");
    }
    for (int i = 0; i < s.people; i++) {
        bool quoted = rng_below(t->rng, 3);
        size_t from;
        buf_printf(out, quoted ? "%s says: \"" : "%s says that ", name_of(&s, i));
        from = out->len;
        put_claim(&s, t->rng, i, !quoted, out);
        if (quoted && out->ptr[from] >= 'a' && out->ptr[from] <= 'z')
            out->ptr[from] = (char)(out->ptr[from] - 32);
        buf_puts(out, quoted ? ".\" " : ". ");
    }
    if (s.one >= 0)
        buf_printf(out,
                   rng_below(t->rng, 2) ? "Is %s a knight or a knave?" : "What is %s, a knight or a knave?",
                   name_of(&s, s.one));
    else
        buf_puts(out, which[rng_below(t->rng, ARRAY_LEN(which))]);
    return held;
}

static void put_kind(const struct island *s, int who, bool knight, struct buf *out)
{
    buf_printf(out, "%s %s", name_of(s, who), knight ? "knight" : "knave");
}

/* A supposition about everybody, told until somebody's words do not fit. Returns whether all do. */
static bool put_supposition(const struct island *s, unsigned knights, struct buf *out)
{
    for (int i = 0; i < s->people; i++) {
        put_kind(s, i, knights >> i & 1, out);
        buf_puts(out, i + 1 < s->people ? ", " : "?\n");
    }
    for (int i = 0; i < s->people; i++) {
        bool is_true = claim_true(s, i, knights), knight = knights >> i & 1;
        put_claim(s, NULL, i, true, out);
        buf_printf(out, ": %s, %s\n", is_true ? "true" : "false", is_true == knight ? "fits" : "clash");
        if (is_true != knight)
            return false;
    }
    return true;
}

/* Is what somebody says about people whose kinds are settled? */
static bool is_settled(const struct island *s, int who, int settled)
{
    if (who >= settled)
        return false;
    if (s->says[who].claim == EXACTLY)
        return settled == s->people;
    return s->says[who].a < settled && s->says[who].b < settled;
}

/* The words that the last settled person makes false or true against their speaker; -1: none. */
static int find_clash(const struct island *s, unsigned knights, int settled)
{
    for (int i = 0; i < settled; i++)
        if (is_settled(s, i, settled) && !(is_settled(s, i, settled - 1)) &&
            claim_true(s, i, knights) != (bool)(knights >> i & 1))
            return i;
    return -1;
}

/* One after the other is supposed to be a knight, then a knave, and the next follows where nothing clashes. */
static bool put_search(const struct island *s, const struct exam_text *t, unsigned knights, int settled,
                       struct buf *out)
{
    if (settled == s->people)
        return true;
    for (int knave = 0; knave < 2; knave++) {
        unsigned supposed = knave ? knights : knights | 1u << settled;
        int clash = find_clash(s, supposed, settled + 1);
        put_kind(s, settled, !knave, out);
        if (clash >= 0) {
            buf_puts(out, ": clash");
            if (t->effort > EXAM_LOW) {
                buf_printf(out, ", %s says ", name_of(s, clash));
                put_claim(s, NULL, clash, true, out);
            }
        }
        buf_putc(out, '\n');
        if (clash < 0 && put_search(s, t, supposed, settled + 1, out))
            return true;
    }
    return false;
}

static void solve_knights(const struct exam_case *c, struct exam_text *t)
{
    struct island s;
    case_recall(c, &s, sizeof s);
    bool found = put_search(&s, t, 0, 0, t->trace);
    assert(found);
    (void)found;
    buf_puts(t->recheck, "check\n");
    for (int i = 0; i < s.people; i++) {
        bool knight = s.knights >> i & 1;
        put_kind(&s, i, knight, t->recheck);
        buf_puts(t->recheck, knight ? ", so true: " : ", so false: ");
        put_claim(&s, NULL, i, true, t->recheck);
        buf_putc(t->recheck, '\n');
    }
    if (t->effort == EXAM_XHIGH) {
        buf_puts(t->recheck, "otherwise\n");
        put_supposition(&s, s.knights ^ 1u, t->recheck);
    }
    buf_puts(t->recheck, "ok\n");
    if (s.one >= 0) {
        answer_word(t, s.knights >> s.one & 1 ? "knight" : "knave");
        return;
    }
    put_names(&s, s.knights, t->answer);
    buf_printf(t->visible, "Answer: %s", t->answer->ptr);
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The next word of s but "and"; empty at its end. */
static struct str next_word(struct str *s)
{
    for (;;) {
        size_t from = 0, to;
        while (from < s->len && !is_word(s->ptr[from]))
            from++;
        for (to = from; to < s->len && is_word(s->ptr[to]);)
            to++;
        struct str word = str_slice(*s, from, to);
        *s = str_slice(*s, to, s->len);
        if (!str_eq_nocase(word, STR("and")))
            return word;
    }
}

static int count_words(struct str s)
{
    int count = 0;
    while (next_word(&s).len)
        count++;
    return count;
}

/* The same words in any order, "and" aside. */
static bool check_names(struct str reply, struct str answer)
{
    struct str given = exam_extract(reply), word;
    if (given.len == 0 || count_words(given) != count_words(answer))
        return false;
    for (struct str rest = answer; (word = next_word(&rest)).len;) {
        bool found = false;
        struct str other;
        for (struct str in = given; (other = next_word(&in)).len;)
            found |= str_eq_nocase(word, other);
        if (!found)
            return false;
    }
    return true;
}

/* --- orders --------------------------------------------------------------------------------------------------------------- */

#define RANKED_MAX 10

struct ranking {
    int people, quality, asked; /* asked: 0 is the most; -1 the least; else that place */
    int order[RANKED_MAX];      /* of the facts */
    bool turned[RANKED_MAX];    /* told from the other side */
    struct cast cast;           /* people in order, the most first */
};

/* more, less, most, least, and of a place: "{0} tallest" */
static const struct {
    const char *more, *less, *most, *least, *place;
} qualities[] = {
    { "is taller than", "is shorter than", "tallest", "shortest", "tallest" },
    { "is older than", "is younger than", "oldest", "youngest", "oldest" },
    { "is faster than", "is slower than", "fastest", "slowest", "fastest" },
    { "is heavier than", "is lighter than", "heaviest", "lightest", "heaviest" },
    { "is richer than", "is poorer than", "richest", "poorest", "richest" },
    { "finished before", "finished after", "first to finish", "last to finish", "to finish" },
    { "scored more than", "scored less than", "one with the most points", "one with the fewest points",
      "by points" },
    { "is stronger than", "is weaker than", "strongest", "weakest", "strongest" },
    { "arrived before", "arrived after", "first to arrive", "last to arrive", "to arrive" },
    { "has more books than", "has fewer books than", "one with the most books", "one with the fewest books",
      "by books" },
};

/* The level is one less than the number of people. */
static void draw_order(struct rng *rng, int level, struct exam_case *c)
{
    struct ranking r = { .people = level + 2 };
    int64_t shape[2 * RANKED_MAX + 2];
    size_t len = 0;
    r.quality = (int)rng_below(rng, ARRAY_LEN(qualities));
    r.asked = rng_below(rng, 2) ? (int)rng_range(rng, 1, r.people - 2) : rng_below(rng, 2) ? 0 : -1;
    shuffle(rng, r.order, r.people - 1);
    cast_draw(rng, &r.cast, false);
    shape[len++] = r.quality;
    shape[len++] = r.asked;
    for (int i = 0; i < r.people - 1; i++) {
        r.turned[i] = rng_below(rng, 2);
        shape[len++] = r.order[i] * 2 + r.turned[i];
    }
    case_keep(c, &r, sizeof r);
    c->few = level <= 2;
    c->key = case_key("order", shape, len);
}

static const char *rank_name(const struct ranking *r, int place)
{
    return r->cast.people[place].name;
}

static const char *const ordinals[] = { "first", "second",  "third",  "fourth", "fifth",
                                        "sixth", "seventh", "eighth", "ninth" };

static bool ask_order(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    static const char *const ends[] = { "Who is the {}?",         "Which of them is the {}?",
                                        "Tell me who is the {}.", "Find the {}.",
                                        "Who of them is the {}?", "!Name the {}.",
                                        "!The {} is who?" };
    struct ranking r;
    struct buf what = { 0 };
    bool held;
    case_recall(c, &r, sizeof r);
    for (int i = 0; i < r.people - 1; i++) {
        int at = r.order[i];
        if (r.turned[i])
            buf_printf(t->question, "%s %s %s. ", rank_name(&r, at + 1), qualities[r.quality].less,
                       rank_name(&r, at));
        else
            buf_printf(t->question, "%s %s %s. ", rank_name(&r, at), qualities[r.quality].more,
                       rank_name(&r, at + 1));
    }
    if (r.asked <= 0)
        buf_puts(&what, r.asked ? qualities[r.quality].least : qualities[r.quality].most);
    else
        buf_printf(&what, "%s %s", ordinals[r.asked], qualities[r.quality].place);
    wording_put(t->question, wording_pick(t->rng, WORDINGS(ends), withheld, &held), buf_str(&what));
    buf_free(&what);
    return held;
}

static void put_ranks(const struct ranking *r, bool down, int count, struct buf *out)
{
    for (int i = 0; i < count; i++)
        buf_printf(out, "%s%s", i ? down ? ">" : "<" : "", rank_name(r, down ? i : r->people - 1 - i));
    buf_putc(out, '\n');
}

static void solve_order(const struct exam_case *c, struct exam_text *t)
{
    struct ranking r;
    case_recall(c, &r, sizeof r);
    int place = r.asked < 0 ? r.people - 1 : r.asked;
    for (int i = 0; i < r.people - 1; i++) {
        int at = r.order[i];
        if (t->slips > 0)
            put_slip(t, t->trace, "%s>%s", rank_name(&r, at + 1), rank_name(&r, at));
        buf_printf(t->trace, "%s>%s\n", rank_name(&r, at), rank_name(&r, at + 1));
    }
    if (t->effort > EXAM_LOW) {
        buf_printf(t->trace, "never on the right: %s\n", rank_name(&r, 0));
        for (int i = 2; i < r.people; i++)
            put_ranks(&r, true, i, t->trace);
    }
    put_ranks(&r, true, r.people, t->trace);
    buf_printf(t->trace, "number %d: %s\n", place + 1, rank_name(&r, place));
    buf_printf(t->recheck, "check\nnever on the left: %s\n", rank_name(&r, r.people - 1));
    put_ranks(&r, false, r.people, t->recheck);
    if (t->effort == EXAM_XHIGH)
        for (int i = 0; i < r.people; i++)
            buf_printf(t->recheck, "%d: %s\n", i + 1, rank_name(&r, i));
    buf_puts(t->recheck, "ok\n");
    answer_word(t, rank_name(&r, place));
}

/* --- syllogisms: a chain "all X are Y", perhaps "some W are" before it and "no ... is" behind it --------------------------- */

#define LINKS_MAX 9

struct syllogism {
    int links;          /* "all" premises; classes 0..links */
    bool some, none;    /* some outsiders are the first; no last is a stranger */
    int form, from, to; /* what is asked */
    int order[LINKS_MAX + 2];
    const char *classes[LINKS_MAX + 3]; /* plurals; the outsiders and the strangers last */
};
enum form { ALL, ALL_BACK, SOME_OUT, ALL_OUT, NO_STRANGER, ANY_STRANGER, FORMS };

static const char *const classes[] = {
    "cats",     "animals", "poets",    "singers",  "roses",    "plants", "doctors", "runners",  "birds",
    "swimmers", "books",   "gifts",    "toys",     "tools",    "bakers", "parents", "students", "dancers",
    "gardens",  "parks",   "wugs",     "blips",    "zorps",    "fleebs", "glims",   "trobs",    "quins",
    "yaps",     "morks",   "snibs",    "daxes",    "fendles",  "grupps", "hixes",   "jillers",  "kroms",
    "lopes",    "nurgs",   "plonks",   "rimps",    "tanks",    "vexes",  "pilots",  "farmers",  "lions",
    "drums",    "lamps",   "fish",     "cooks",    "teachers", "robots", "coins",   "!brists",  "!clomps",
    "!drell",   "!eggers", "!wombats", "!sailors", "!hermits", "!opals",
};

static const char *truth_of(const struct syllogism *s)
{
    switch (s->form) {
    case ALL: return "yes";
    case ALL_BACK: return "unknown";
    case SOME_OUT: return "yes";
    case ALL_OUT: return "unknown";
    case NO_STRANGER: return "yes";
    default: return "no";
    }
}

static void draw_syllogism(struct rng *rng, int level, struct exam_case *c)
{
    struct syllogism s = { .links = level + 1 > LINKS_MAX ? LINKS_MAX : level + 1 };
    int64_t shape[LINKS_MAX * 2 + 8];
    size_t len = 0;
    s.some = rng_below(rng, 2);
    s.none = !s.some && rng_below(rng, 2);
    do {
        s.form = (int)rng_below(rng, FORMS);
    } while ((!s.some && (s.form == SOME_OUT || s.form == ALL_OUT)) ||
             (!s.none && (s.form == NO_STRANGER || s.form == ANY_STRANGER)));
    s.from = (int)rng_below(rng, 2);
    s.to = s.links - (int)rng_below(rng, 2);
    if (s.to <= s.from)
        s.to = s.links;
    int premises = s.links + s.some + s.none, total = s.links + 3;
    shuffle(rng, s.order, premises);
    shape[len++] = s.form;
    shape[len++] = s.from * 16 + s.to;
    for (int i = 0; i < premises; i++)
        shape[len++] = s.order[i];
    for (int i = 0; i < total; i++) {
        bool again = true;
        while (again) {
            s.classes[i] = LIST_PICK(rng, classes, false);
            again = false;
            for (int k = 0; k < i; k++)
                again |= s.classes[k] == s.classes[i];
        }
        shape[len++] = (int64_t)(str_hash(str_from(s.classes[i])) >> 8);
    }
    case_keep(c, &s, sizeof s);
    c->key = case_key("syllogism", shape, len);
}

static const char *outsiders(const struct syllogism *s)
{
    return s->classes[s->links + 1];
}

static const char *strangers(const struct syllogism *s)
{
    return s->classes[s->links + 2];
}

static void put_premise(const struct syllogism *s, struct rng *rng, int which, struct buf *out)
{
    const char *a = s->classes[which < s->links ? which : 0],
               *b = s->classes[which < s->links ? which + 1 : 0];
    if (which == s->links && s->some)
        buf_printf(out, "Some %s are %s. ", outsiders(s), s->classes[0]);
    else if (which == s->links)
        buf_printf(out, "No %s are %s. ", s->classes[s->links], strangers(s));
    if (which == s->links)
        return;
    switch (rng_below(rng, 4)) {
    case 0: buf_printf(out, "Every one of the %s is one of the %s. ", a, b); break;
    case 1: buf_printf(out, "%s are always %s. ", a, b); break;
    default: buf_printf(out, "All %s are %s. ", a, b); break;
    }
}

static bool ask_syllogism(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    static const char *const heads[] = { "",
                                         "",
                                         "Suppose this is true: ",
                                         "Given: ",
                                         "Consider these facts. ",
                                         "!Take this for granted: ",
                                         "!Let these statements hold. " };
    static const char *const tails[] = { " Answer yes, no or unknown.", " (yes, no or unknown)",
                                         " Say yes, no or unknown." };
    struct syllogism s;
    bool held;
    struct buf *out = t->question;
    case_recall(c, &s, sizeof s);
    buf_puts(out, wording_pick(t->rng, WORDINGS(heads), withheld, &held));
    for (int i = 0; i < s.links + s.some + s.none; i++)
        put_premise(&s, t->rng, s.order[i], out);
    const char *a = s.classes[s.from], *b = s.classes[s.to];
    switch (s.form) {
    case ALL: buf_printf(out, "Are all %s %s?", a, b); break;
    case ALL_BACK: buf_printf(out, "Are all %s %s?", b, a); break;
    case SOME_OUT: buf_printf(out, "Are some %s %s?", outsiders(&s), b); break;
    case ALL_OUT: buf_printf(out, "Are all %s %s?", outsiders(&s), b); break;
    case NO_STRANGER: buf_printf(out, "Is it true that no %s are %s?", a, strangers(&s)); break;
    default: buf_printf(out, "Are any %s %s?", a, strangers(&s)); break;
    }
    buf_puts(out, tails[rng_below(t->rng, ARRAY_LEN(tails))]);
    text_tidy(out);
    return held;
}

static void put_links(const struct syllogism *s, int from, int to, struct buf *out)
{
    for (int i = from; i <= to; i++)
        buf_printf(out, "%s%s", s->classes[i], i < to ? ">" : "\n");
}

static void solve_syllogism(const struct exam_case *c, struct exam_text *t)
{
    struct syllogism s;
    case_recall(c, &s, sizeof s);
    const char *truth = truth_of(&s);
    bool out = s.form == SOME_OUT || s.form == ALL_OUT,
         strange = s.form == NO_STRANGER || s.form == ANY_STRANGER;
    int from = out ? 0 : s.from, to = strange ? s.links : s.to;
    if (t->effort > EXAM_LOW)
        for (int i = from; i < to; i++)
            buf_printf(t->trace, "%s>%s\n", s.classes[i], s.classes[i + 1]);
    if (out)
        buf_printf(t->trace, "some %s: %s\n", outsiders(&s), s.classes[0]);
    put_links(&s, from, to, t->trace);
    if (strange)
        buf_printf(t->trace, "%s: no %s\n", s.classes[s.links], strangers(&s));
    put_slip(t, t->trace, "so %s", *truth == 'y' ? "no" : "yes");
    buf_printf(t->trace,
               s.form == ALL_BACK  ? "only that way round, so %s\n"
               : s.form == ALL_OUT ? "only some, so %s\n"
                                   : "so %s\n",
               truth);
    buf_puts(t->recheck, "check\n");
    for (int i = to; i > from; i--)
        buf_printf(t->recheck, "%s<%s\n", s.classes[i], s.classes[i - 1]);
    if (t->effort == EXAM_XHIGH)
        buf_printf(t->recheck, "%d links\n", to - from);
    buf_printf(t->recheck, "%s\nok\n", truth);
    answer_word(t, truth);
}

static bool check_word(struct str reply, struct str answer)
{
    return exam_same(exam_extract(reply), answer);
}

const struct exam_family family_boolean = {
    .name = "boolean",
    .what = "truth values of expressions; the level is the number of operations",
    .levels = 8,
    .draw = draw_boolean,
    .ask = ask_boolean,
    .solve = solve_boolean,
    .check = check_truth,
};

const struct exam_family family_knights = {
    .name = "knights",
    .what = "knights and knaves: 1-2 two people, 3-4 three, 5-6 four, 7-8 five",
    .levels = 8,
    .draw = draw_knights,
    .ask = ask_knights,
    .solve = solve_knights,
    .check = check_names,
};

const struct exam_family family_order = {
    .name = "order",
    .what = "who is tallest, second oldest: the level is the number of people less two",
    .levels = 8,
    .draw = draw_order,
    .ask = ask_order,
    .solve = solve_order,
    .check = check_names,
};

const struct exam_family family_syllogism = {
    .name = "syllogism",
    .what = "all, some and no: the level is the number of links less one; yes, no or unknown",
    .levels = 8,
    .draw = draw_syllogism,
    .ask = ask_syllogism,
    .solve = solve_syllogism,
    .check = check_word,
};
