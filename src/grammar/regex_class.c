/*
 * regex_class.c - sets of characters: classes, properties of Unicode, and what one does with sets.
 *
 * General categories come from utf8proc, whose tables are read through once. Scripts and the derived properties are not in it and
 * are refused by name rather than guessed.
 */
#include "grammar/regex_impl.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define CHAR_LAST 0x10ffff

static void put(struct char_set *s, uint32_t first, uint32_t last)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 8;
        s->ptr = mem_realloc(s->ptr, s->cap * sizeof *s->ptr);
    }
    s->ptr[s->n++] = (struct char_range){ first, last };
}

static void tidy(struct char_set *s)
{
    size_t m = 0;
    ranges_sort(s->ptr, s->n);
    for (size_t i = 0; i < s->n; i++) {
        if (m && s->ptr[i].first <= s->ptr[m - 1].last + 1)
            s->ptr[m - 1].last = s->ptr[i].last > s->ptr[m - 1].last ? s->ptr[i].last : s->ptr[m - 1].last;
        else
            s->ptr[m++] = s->ptr[i];
    }
    s->n = m;
}

/* Put into its place: sets are often written in order, and may be written by an enemy. */
void char_set_add(struct char_set *s, uint32_t first, uint32_t last)
{
    size_t at = s->n, end;
    while (at && s->ptr[at - 1].last + 1 >= first)
        at--;
    for (end = at; end < s->n && s->ptr[end].first <= last + 1; end++) {
        first = s->ptr[end].first < first ? s->ptr[end].first : first;
        last = s->ptr[end].last > last ? s->ptr[end].last : last;
    }
    if (at == end) {
        put(s, first, last);
        memmove(s->ptr + at + 1, s->ptr + at, (s->n - 1 - at) * sizeof *s->ptr);
    } else {
        memmove(s->ptr + at + 1, s->ptr + end, (s->n - end) * sizeof *s->ptr);
        s->n -= end - at - 1;
    }
    s->ptr[at] = (struct char_range){ first, last };
}

void char_set_join(struct char_set *s, const struct char_set *other)
{
    for (size_t i = 0; i < other->n; i++)
        put(s, other->ptr[i].first, other->ptr[i].last);
    tidy(s);
}

void char_set_negate(struct char_set *s)
{
    struct char_set out = { 0 };
    uint32_t next = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->ptr[i].first > next)
            put(&out, next, s->ptr[i].first - 1);
        next = s->ptr[i].last + 1;
    }
    if (next <= CHAR_LAST)
        put(&out, next, CHAR_LAST);
    char_set_free(s);
    *s = out;
}

/* x and y is what is not in (not x) or (not y). */
void char_set_meet(struct char_set *s, const struct char_set *other)
{
    struct char_set not_other = { 0 };
    char_set_join(&not_other, other);
    char_set_negate(&not_other);
    char_set_negate(s);
    char_set_join(s, &not_other);
    char_set_negate(s);
    char_set_free(&not_other);
}

void char_set_free(struct char_set *s)
{
    mem_free(s->ptr);
    *s = (struct char_set){ 0 };
}

/* --- Unicode ----------------------------------------------------------------------------------------------------- */

struct run {
    uint32_t first, last;
    utf8proc_category_t category;
};

static struct run *runs; /* of all characters, ascending; made once */
static size_t n_runs;
static pthread_once_t runs_once = PTHREAD_ONCE_INIT;

static void make_runs(void)
{
    size_t cap = 4096;
    runs = mem_array(cap, sizeof *runs);
    for (uint32_t c = 0; c <= CHAR_LAST; c++) {
        utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
        if (n_runs && runs[n_runs - 1].category == category) {
            runs[n_runs - 1].last = c;
            continue;
        }
        if (n_runs == cap) {
            cap *= 2;
            runs = mem_realloc(runs, cap * sizeof *runs);
        }
        runs[n_runs++] = (struct run){ c, c, category };
    }
}

#define CATEGORY(c) (1u << UTF8PROC_CATEGORY_##c)
#define LETTERS     (CATEGORY(LU) | CATEGORY(LL) | CATEGORY(LT) | CATEGORY(LM) | CATEGORY(LO))
#define MARKS       (CATEGORY(MN) | CATEGORY(MC) | CATEGORY(ME))

static void add_categories(struct char_set *s, uint32_t mask)
{
    pthread_once(&runs_once, make_runs);
    for (size_t i = 0; i < n_runs; i++)
        if (mask >> runs[i].category & 1)
            put(s, runs[i].first, runs[i].last);
    tidy(s);
}

/* clang-format off */
static const struct {
    const char *brief, *name;
    uint32_t mask;
} categories[] = {
    { "L",  "Letter", LETTERS },
    { "LC", "Cased_Letter", CATEGORY(LU) | CATEGORY(LL) | CATEGORY(LT) },
    { "Lu", "Uppercase_Letter", CATEGORY(LU) },
    { "Ll", "Lowercase_Letter", CATEGORY(LL) },
    { "Lt", "Titlecase_Letter", CATEGORY(LT) },
    { "Lm", "Modifier_Letter", CATEGORY(LM) },
    { "Lo", "Other_Letter", CATEGORY(LO) },
    { "M",  "Mark", MARKS },
    { "Mn", "Nonspacing_Mark", CATEGORY(MN) },
    { "Mc", "Spacing_Mark", CATEGORY(MC) },
    { "Me", "Enclosing_Mark", CATEGORY(ME) },
    { "N",  "Number", CATEGORY(ND) | CATEGORY(NL) | CATEGORY(NO) },
    { "Nd", "Decimal_Number", CATEGORY(ND) },
    { "Nl", "Letter_Number", CATEGORY(NL) },
    { "No", "Other_Number", CATEGORY(NO) },
    { "P",  "Punctuation", CATEGORY(PC) | CATEGORY(PD) | CATEGORY(PS) | CATEGORY(PE) | CATEGORY(PI) | CATEGORY(PF) | CATEGORY(PO) },
    { "Pc", "Connector_Punctuation", CATEGORY(PC) },
    { "Pd", "Dash_Punctuation", CATEGORY(PD) },
    { "Ps", "Open_Punctuation", CATEGORY(PS) },
    { "Pe", "Close_Punctuation", CATEGORY(PE) },
    { "Pi", "Initial_Punctuation", CATEGORY(PI) },
    { "Pf", "Final_Punctuation", CATEGORY(PF) },
    { "Po", "Other_Punctuation", CATEGORY(PO) },
    { "S",  "Symbol", CATEGORY(SM) | CATEGORY(SC) | CATEGORY(SK) | CATEGORY(SO) },
    { "Sm", "Math_Symbol", CATEGORY(SM) },
    { "Sc", "Currency_Symbol", CATEGORY(SC) },
    { "Sk", "Modifier_Symbol", CATEGORY(SK) },
    { "So", "Other_Symbol", CATEGORY(SO) },
    { "Z",  "Separator", CATEGORY(ZS) | CATEGORY(ZL) | CATEGORY(ZP) },
    { "Zs", "Space_Separator", CATEGORY(ZS) },
    { "Zl", "Line_Separator", CATEGORY(ZL) },
    { "Zp", "Paragraph_Separator", CATEGORY(ZP) },
    { "C",  "Other", CATEGORY(CC) | CATEGORY(CF) | CATEGORY(CS) | CATEGORY(CO) | CATEGORY(CN) },
    { "Cc", "Control", CATEGORY(CC) },
    { "Cf", "Format", CATEGORY(CF) },
    { "Cs", "Surrogate", CATEGORY(CS) },
    { "Co", "Private_Use", CATEGORY(CO) },
    { "Cn", "Unassigned", CATEGORY(CN) },
    { "Any", "Any", UINT32_MAX },
    { "Assigned", "Assigned", ~CATEGORY(CN) },
};
/* clang-format on */

/* U+0085 and the separators are blank to Unicode; ECMA-262 has U+FEFF in place of U+0085. */
static void add_blanks(struct char_set *s, bool unicode)
{
    put(s, 0x09, 0x0d);
    put(s, 0x20, 0x20);
    if (unicode)
        put(s, 0x85, 0x85);
    else
        put(s, 0xfeff, 0xfeff);
    add_categories(s, CATEGORY(ZS) | CATEGORY(ZL) | CATEGORY(ZP));
}

/* Unicode's word characters (UTS 18, annex C): what is alphabetic beside letters and marks are letter numbers and the letters in
 * circles and squares. */
static void add_word(struct char_set *s, bool unicode)
{
    put(s, '0', '9');
    put(s, 'A', 'Z');
    put(s, 'a', 'z');
    put(s, '_', '_');
    if (!unicode) {
        tidy(s);
        return;
    }
    put(s, 0x200c, 0x200d);
    put(s, 0x24b6, 0x24e9);
    put(s, 0x1f130, 0x1f149);
    put(s, 0x1f150, 0x1f169);
    put(s, 0x1f170, 0x1f189);
    add_categories(s, LETTERS | MARKS | CATEGORY(ND) | CATEGORY(NL) | CATEGORY(PC));
}

void char_set_add_class(struct char_set *s, char letter, bool unicode)
{
    struct char_set class = { 0 };
    char small = (char)(letter | 0x20);
    if (small == 's')
        add_blanks(&class, unicode);
    else if (small == 'w')
        add_word(&class, unicode);
    else if (unicode)
        add_categories(&class, CATEGORY(ND));
    else
        put(&class, '0', '9');
    if (letter != small)
        char_set_negate(&class);
    char_set_join(s, &class);
    char_set_free(&class);
}

bool char_set_add_property(struct char_set *s, struct str name)
{
    static const char *const keys[] = { "gc=", "General_Category=" };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (str_starts(name, str_from(keys[i])))
            name = str_slice(name, strlen(keys[i]), name.len);
    for (size_t i = 0; i < ARRAY_LEN(categories); i++) {
        if (!str_is(name, categories[i].brief) && !str_is(name, categories[i].name))
            continue;
        add_categories(s, categories[i].mask);
        return true;
    }
    if (str_is(name, "ASCII"))
        char_set_add(s, 0, 0x7f);
    else if (str_is(name, "White_Space") || str_is(name, "space"))
        add_blanks(s, true);
    else
        return false;
    return true;
}

bool char_set_add_posix(struct char_set *s, struct str name)
{
    static const struct {
        const char *name, *ranges; /* pairs of first and last */
    } classes[] = {
        { "alpha", "AZaz" },
        { "digit", "09" },
        { "alnum", "09AZaz" },
        { "upper", "AZ" },
        { "lower", "az" },
        { "punct", "!/:@[`{~" },
        { "xdigit", "09AFaf" },
        { "space", "\t\r  " },
        { "blank", "\t\t  " },
        { "graph", "!~" },
        { "print", " ~" },
        { "word", "09AZaz__" },
        { "cntrl", "\1\37\177\177" },
    };
    for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
        if (!str_is(name, classes[i].name))
            continue;
        for (const char *r = classes[i].ranges; *r; r += 2)
            put(s, (unsigned char)r[0], (unsigned char)r[1]);
        if (str_is(name, "cntrl"))
            put(s, 0, 0);
        tidy(s);
        return true;
    }
    if (!str_is(name, "ascii"))
        return false;
    char_set_add(s, 0, 0x7f);
    return true;
}

/* Characters with a case live below U+1F000. */
void char_set_fold(struct char_set *s)
{
    struct char_set other = { 0 };
    for (size_t i = 0; i < s->n; i++) {
        for (uint32_t c = s->ptr[i].first; c <= s->ptr[i].last && c < 0x1f000; c++) {
            uint32_t lower = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
            uint32_t upper = (uint32_t)utf8proc_toupper((utf8proc_int32_t)c);
            if (lower != c)
                put(&other, lower, lower);
            if (upper != c)
                put(&other, upper, upper);
        }
    }
    char_set_join(s, &other);
    char_set_free(&other);
}
