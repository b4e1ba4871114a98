/*
 * letters.c - words as rows of letters: counting, reversing, sorting.
 *
 * To the model a word is a few tokens whose letters it does not see, so working spells words out, one letter after a
 * blank each, and counts by numbering. Half of the words are real, half are made of syllables.
 */
#include "exam/words_impl.h"

#include <stdio.h>
#include <string.h>

#define WORDS_MAX  8
#define WORD_BYTES 20

struct row {
    char words[WORDS_MAX][WORD_BYTES];
    int count;
    char letter;
    int place;
};

static const char *const real[] = {
    "banana",      "letter",   "window",    "garden",    "summer",   "kitchen",    "mountain",  "river",
    "bottle",      "pencil",   "orange",    "little",    "yellow",   "monkey",     "tomato",    "coffee",
    "rabbit",      "hammer",   "butter",    "pepper",    "cotton",   "dinner",     "doctor",    "engine",
    "family",      "flower",   "forest",    "friend",    "guitar",   "island",     "jacket",    "ladder",
    "lemon",       "magnet",   "market",    "minute",    "mirror",   "needle",     "number",    "office",
    "parrot",      "planet",   "pocket",    "potato",    "puzzle",   "rocket",     "school",    "shadow",
    "silver",      "spider",   "spring",    "square",    "station",  "street",     "sugar",     "tunnel",
    "turtle",      "valley",   "village",   "violin",    "winter",   "wonder",     "apple",     "bread",
    "chair",       "cloud",    "dream",     "eagle",     "field",    "glass",      "grape",     "heart",
    "horse",       "house",    "knife",     "lamp",      "moon",     "night",      "ocean",     "paper",
    "piano",       "queen",    "roof",      "salt",      "sheep",    "stone",      "table",     "tiger",
    "train",       "water",    "address",   "balloon",   "cabbage",  "elephant",   "hospital",  "library",
    "mississippi", "notebook", "pineapple", "raspberry", "sentence", "strawberry", "telephone", "umbrella",
    "vacation",
};

static void pick_text(struct rng *rng, char *out, int syllables)
{
    static const char *const starts[] = { "b", "d", "f", "g",  "k",  "l",  "m",  "n",  "p",  "r",
                                          "s", "t", "v", "br", "st", "tr", "pl", "ch", "sh", "" };
    static const char *const cores[] = { "a", "e", "i", "o", "u", "ee", "oo", "ai" };
    static const char *const closes[] = { "", "", "n", "r", "l", "s", "m", "t" };
    size_t len = 0;
    if (rng_below(rng, 2)) {
        snprintf(out, WORD_BYTES, "%s", real[rng_below(rng, ARRAY_LEN(real))]);
        return;
    }
    out[0] = 0;
    for (int i = 0; i < syllables; i++)
        len += (size_t)snprintf(
            out + len, WORD_BYTES - len, "%s%s%s", starts[rng_below(rng, ARRAY_LEN(starts))],
            cores[rng_below(rng, ARRAY_LEN(cores))], closes[rng_below(rng, ARRAY_LEN(closes))]);
}

static bool has_text(const struct row *r, int count, const char *text)
{
    for (int i = 0; i < count; i++)
        if (strcmp(r->words[i], text) == 0)
            return true;
    return false;
}

/* 1 length, 2 one letter's number, 3 reversed, 4 letters sorted, 5 and 7 words sorted, 6 words turned round, 8 a letter's number
 * in several words. */
static void draw_letters(struct rng *rng, int level, struct exam_case *c)
{
    struct row r = { 0 };
    int64_t shape[WORDS_MAX + 2];
    r.count = level <= 4 ? 1 : level == 5 ? 4 : level == 6 ? 5 : level == 7 ? 7 : 4;
    for (int i = 0; i < r.count; i++)
        do {
            pick_text(rng, r.words[i], (int)rng_range(rng, 2, 3));
        } while (has_text(&r, i, r.words[i]));
    const char *from = r.words[rng_below(rng, (uint64_t)r.count)];
    r.letter = rng_below(rng, 5) ? from[rng_below(rng, strlen(from))] : (char)('a' + rng_below(rng, 26));
    for (int i = 0; i < r.count; i++)
        shape[i] = (int64_t)(str_hash(str_from(r.words[i])) >> 1);
    shape[r.count] = level == 2 || level == 8 ? r.letter : 0;
    shape[r.count + 1] = level;
    case_keep(c, &r, sizeof r);
    c->key = case_key("letters", shape, (size_t)r.count + 2);
}

/* {} is the word or the words, # the letter */
static const char *const length_wordings[] = { "How many letters does the word \"{}\" have?",
                                               "How many letters are in {}?",
                                               "Count the letters in \"{}\".",
                                               "How long is the word {}, in letters?",
                                               "What is the number of letters of {}?",
                                               "How many letters has {}?",
                                               "!Of how many letters does \"{}\" consist?",
                                               "!Tell the length of the word {}." };
static const char *const count_wordings[] = { "How many times does the letter # occur in \"{}\"?",
                                              "How many #'s are in {}?",
                                              "Count the letter # in \"{}\".",
                                              "How often is # in the word {}?",
                                              "How many times do you see # in {}?",
                                              "What is the number of #'s in \"{}\"?",
                                              "!In {}, how many letters are a #?",
                                              "!Number of times # appears in \"{}\"?" };
static const char *const reverse_wordings[] = { "Reverse the word \"{}\".",
                                                "Spell {} backwards.",
                                                "Write {} backwards.",
                                                "What is \"{}\" spelled backwards?",
                                                "Turn the letters of {} around.",
                                                "What do you get when you reverse {}?",
                                                "!Read {} from right to left.",
                                                "!Give \"{}\" from its last letter to its first." };
static const char *const sort_letters_wordings[] = { "Sort the letters of \"{}\" alphabetically.",
                                                     "Put the letters of {} into alphabetical order.",
                                                     "Write the letters of {} in order from a to z.",
                                                     "Order the letters of the word {}.",
                                                     "!Arrange \"{}\" letter by letter by the alphabet." };
static const char *const sort_wordings[] = { "Sort these words alphabetically: {}.",
                                             "Put these words into alphabetical order: {}.",
                                             "Sort the words: {}.",
                                             "Order the words {} from a to z.",
                                             "What is the alphabetical order of {}?",
                                             "Arrange alphabetically: {}.",
                                             "!Bring {} into the order of a dictionary.",
                                             "!List by the alphabet: {}." };
static const char *const turn_wordings[] = { "Reverse the order of these words: {}.",
                                             "Write these words in reverse order: {}.",
                                             "Put the words in the opposite order: {}.",
                                             "Turn the list around: {}.",
                                             "!List these from last to first: {}." };
static const char *const all_wordings[] = { "How many times does # occur in these words together: {}?",
                                            "Count the letter # in: {}.", "How many #'s are in the words {}?",
                                            "In {}, how often is the letter #?",
                                            "!Taken together, how many times is # in {}?" };

static void put_list(struct buf *out, const struct row *r, const int *order, const char *gap)
{
    for (int i = 0; i < r->count; i++)
        buf_printf(out, "%s%s", i ? gap : "", r->words[order ? order[i] : i]);
}

static bool ask_letters(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    const struct wordings lists[] = { WORDINGS(length_wordings),  WORDINGS(count_wordings),
                                      WORDINGS(reverse_wordings), WORDINGS(sort_letters_wordings),
                                      WORDINGS(sort_wordings),    WORDINGS(turn_wordings),
                                      WORDINGS(sort_wordings),    WORDINGS(all_wordings) };
    struct row r;
    struct buf words = { 0 };
    bool held;
    case_recall(c, &r, sizeof r);
    put_list(&words, &r, NULL, c->level == 8 && rng_below(t->rng, 2) ? " " : ", ");
    for (const char *at = wording_pick(t->rng, lists[c->level - 1], withheld, &held); *at; at++)
        if (*at == '#') {
            buf_putc(t->question, r.letter);
        } else if (*at == '{') {
            buf_put_str(t->question, buf_str(&words));
            at++;
        } else {
            buf_putc(t->question, *at);
        }
    text_tidy(t->question);
    buf_free(&words);
    return held;
}

static void put_spelled(struct buf *out, const char *word)
{
    for (size_t i = 0; word[i]; i++)
        buf_printf(out, "%s%c", i ? " " : "", word[i]);
    buf_putc(out, '\n');
}

/* "b1 a2 n3 a4 n5 a6" */
static int put_numbered(struct buf *out, const char *word, char only, int from)
{
    int n = from;
    for (size_t i = 0; word[i]; i++)
        if (!only || word[i] == only)
            buf_printf(out, "%s%c%d", n > from ? " " : "", word[i], n + 1), n++;
    buf_puts(out, n > from ? "\n" : "none\n");
    return n;
}

static void solve_count(struct exam_text *t, const struct row *r, bool all)
{
    int total = 0;
    for (int i = 0; i < r->count; i++) {
        if (t->effort > EXAM_LOW)
            put_spelled(t->trace, r->words[i]);
        put_slip(t, t->trace, "%c%d", all ? r->words[i][0] : r->letter, total + (int)strlen(r->words[i]) + 1);
        total = put_numbered(t->trace, r->words[i], all ? 0 : r->letter, total);
    }
    buf_puts(t->recheck, "check\n");
    int again = 0;
    for (int i = r->count - 1; i >= 0; i--)
        for (size_t k = strlen(r->words[i]); k-- > 0;) {
            again += all || r->words[i][k] == r->letter;
            buf_printf(t->recheck, "%c%d%s", r->words[i][k], again, k || i ? " " : "\n");
        }
    if (t->effort == EXAM_XHIGH)
        for (int i = 0; i < r->count; i++)
            put_spelled(t->recheck, r->words[i]);
    buf_puts(t->recheck, "ok\n");
    answer_int(t, total);
}

static void turn_round(char *out, const char *word)
{
    size_t len = strlen(word);
    for (size_t i = 0; i < len; i++)
        out[i] = word[len - 1 - i];
    out[len] = 0;
}

static void answer_text(struct exam_text *t, const char *text)
{
    buf_puts(t->answer, text);
    buf_printf(t->visible, "Answer: %s", text);
}

static void solve_reverse(struct exam_text *t, const struct row *r)
{
    char turned[WORD_BYTES];
    turn_round(turned, r->words[0]);
    put_spelled(t->trace, r->words[0]);
    put_slip(t, t->trace, "%c %c", turned[1], turned[0]);
    put_spelled(t->trace, turned);
    buf_puts(t->recheck, "check\n");
    put_numbered(t->recheck, r->words[0], 0, 0);
    put_numbered(t->recheck, turned, 0, 0);
    if (t->effort == EXAM_XHIGH)
        put_spelled(t->recheck, r->words[0]);
    buf_puts(t->recheck, "ok\n");
    answer_text(t, turned);
}

static void sort_bytes(char *s)
{
    size_t len = strlen(s);
    for (size_t i = 1; i < len; i++)
        for (size_t k = i; k > 0 && s[k] < s[k - 1]; k--) {
            char swap = s[k];
            s[k] = s[k - 1];
            s[k - 1] = swap;
        }
}

/* Letter by letter of the alphabet: those that occur, as often as they do. */
static void solve_sort_letters(struct exam_text *t, const struct row *r)
{
    char sorted[WORD_BYTES];
    snprintf(sorted, sizeof sorted, "%s", r->words[0]);
    sort_bytes(sorted);
    put_spelled(t->trace, r->words[0]);
    put_slip(t, t->trace, "%c %c", sorted[1], sorted[0]);
    if (t->effort > EXAM_LOW)
        for (size_t i = 0; sorted[i]; i++)
            if (i == 0 || sorted[i] != sorted[i - 1]) {
                size_t same = 1;
                while (sorted[i + same] == sorted[i])
                    same++;
                buf_printf(t->trace, "%c%zu ", sorted[i], same);
            }
    if (t->effort > EXAM_LOW)
        t->trace->ptr[t->trace->len - 1] = '\n';
    put_spelled(t->trace, sorted);
    buf_printf(t->recheck, "check\n%zu letters\n", strlen(sorted));
    put_numbered(t->recheck, sorted, 0, 0);
    if (t->effort == EXAM_XHIGH)
        put_numbered(t->recheck, r->words[0], 0, 0);
    buf_puts(t->recheck, "ok\n");
    answer_text(t, sorted);
}

static void order_of(const struct row *r, int *order)
{
    for (int i = 0; i < r->count; i++) {
        int at = i;
        for (; at > 0 && strcmp(r->words[order[at - 1]], r->words[i]) > 0; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

/* Where two words first differ, which decides their order. */
static void put_compare(struct buf *out, const char *a, const char *b)
{
    size_t i = 0;
    while (a[i] && a[i] == b[i])
        i++;
    if (!a[i] || !b[i])
        buf_printf(out, "%s<%s: shorter\n", a, b);
    else
        buf_printf(out, "%s<%s: %c<%c\n", a, b, a[i], b[i]);
}

static void solve_sort(struct exam_text *t, const struct row *r, bool turn)
{
    int order[WORDS_MAX];
    struct buf list = { 0 };
    order_of(r, order);
    for (int i = 0; i < r->count && turn; i++)
        order[i] = r->count - 1 - i;
    if (!turn && t->effort > EXAM_LOW) {
        for (int i = 0; i < r->count; i++)
            buf_printf(t->trace, "%c%s", r->words[i][0], i + 1 < r->count ? " " : "\n");
        for (int i = 0; i + 1 < r->count; i++)
            put_compare(t->trace, r->words[order[i]], r->words[order[i + 1]]);
    }
    put_list(&list, r, order, ", ");
    put_slip(t, t->trace, "%s, %s", r->words[order[1]], r->words[order[0]]);
    for (int i = 0; i < r->count; i++)
        buf_printf(t->trace, "%d %s\n", i + 1, r->words[order[i]]);
    buf_puts(t->recheck, "check\n");
    for (int i = 0; i + 1 < r->count; i++)
        if (turn)
            buf_printf(t->recheck, "%s: %d of %d\n", r->words[order[i]], r->count - i, r->count);
        else
            put_compare(t->recheck, r->words[order[i]], r->words[order[i + 1]]);
    buf_printf(t->recheck, "%d words\n", r->count);
    if (t->effort == EXAM_XHIGH)
        buf_printf(t->recheck, "%s\n", list.ptr);
    buf_puts(t->recheck, "ok\n");
    answer_text(t, list.ptr);
    buf_free(&list);
}

static void solve_letters(const struct exam_case *c, struct exam_text *t)
{
    struct row r;
    case_recall(c, &r, sizeof r);
    switch (c->level) {
    case 1: solve_count(t, &r, true); break;
    case 3: solve_reverse(t, &r); break;
    case 4: solve_sort_letters(t, &r); break;
    case 5:
    case 7: solve_sort(t, &r, false); break;
    case 6: solve_sort(t, &r, true); break;
    default: solve_count(t, &r, false); break;
    }
}

/* Numbers as numbers; words one after the other, whatever stands between them. */
static bool check_letters(struct str reply, struct str answer)
{
    struct str given = exam_extract(reply);
    size_t i = 0, k = 0;
    if (answer.len && answer.ptr[0] >= '0' && answer.ptr[0] <= '9')
        return check_number(reply, answer);
    static const char between[] = " ,\"'.\n";
    for (;;) {
        bool gap_a = false, gap_b = false;
        for (; i < given.len && strchr(between, given.ptr[i]); i++)
            gap_a = true;
        for (; k < answer.len && strchr(between, answer.ptr[k]); k++)
            gap_b = true;
        if (i == given.len || k == answer.len)
            return i == given.len && k == answer.len;
        if ((gap_a != gap_b && i && k) || (given.ptr[i] | 32) != (answer.ptr[k] | 32))
            return false;
        i++;
        k++;
    }
}

const struct exam_family family_letters = {
    .name = "letters",
    .what = "words: 1 length, 2 a letter's number, 3 reversed, 4 letters sorted, 5 and 7 words sorted, 6 "
            "turned round, 8 a count in several",
    .levels = 8,
    .draw = draw_letters,
    .ask = ask_letters,
    .solve = solve_letters,
    .check = check_letters,
};
