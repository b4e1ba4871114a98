/*
 * words.c - the lists that stories and their like draw from, and the one expander of phrases.
 *
 * Variety is the product here: a small model that meets few names, things and turns of phrase learns those and not
 * the exercise. About one entry in eight of each list is withheld, so that the exam can tell.
 */
#include "exam/words_impl.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const girls[] = {
    "Anna",   "Mia",    "Sara",    "Lena",    "Maya",     "Emma",   "Nina",    "Ruth",   "Lucy",     "Zoe",
    "Priya",  "Amina",  "Julia",   "Olga",    "Kate",     "Rosa",   "Ivy",     "Mei",    "Nora",     "Clara",
    "Hana",   "Ella",   "Grace",   "Sofia",   "Ines",     "Marta",  "Leila",   "Aisha",  "Carla",    "Dina",
    "Elena",  "Fatima", "Gina",    "Helen",   "Irene",    "Jane",   "Karen",   "Laura",  "Mary",     "Naomi",
    "Paula",  "Rachel", "Sandra",  "Tina",    "Vera",     "Wendy",  "Yara",    "Betty",  "Alice",    "Diana",
    "Megan",  "Susan",  "Linda",   "Janet",   "Claire",   "Stella", "Lily",    "Jenny",  "Nicole",   "Tara",
    "!Freya", "!Noor",  "!Ingrid", "!Tamsin", "!Beatriz", "!Odile", "!Sunita", "!Keiko", "!Marisol", "!Wren",
};
static const char *const boys[] = {
    "Tom",     "Ben",    "Omar",    "Ali",    "Leo",     "Max",     "Ivan",   "Jack",     "Noah",  "Paul",
    "Raj",     "Sam",    "Carlos",  "Peter",  "Hugo",    "Kofi",    "Liam",   "Yuki",     "Adam",  "Brian",
    "David",   "Eric",   "Felix",   "George", "Henry",   "Isaac",   "James",  "Kevin",    "Luke",  "Mark",
    "Nick",    "Oscar",  "Pablo",   "Ryan",   "Simon",   "Tim",     "Victor", "Will",     "Yusuf", "Zack",
    "Arun",    "Bruno",  "Chen",    "Dan",    "Emil",    "Frank",   "Greg",   "Hassan",   "Jorge", "Ken",
    "Martin",  "Mike",   "Robert",  "Steve",  "Tony",    "Walter",  "John",   "Joe",      "Alex",  "Toby",
    "!Anders", "!Bilal", "!Dmitri", "!Emeka", "!Rafael", "!Stefan", "!Tariq", "!Quentin", "!Hiro", "!Lars",
};

/* '~' marks food. */
static const char *const things[] = {
    "~apple|apples",
    "book|books",
    "pencil|pencils",
    "marble|marbles",
    "sticker|stickers",
    "~cookie|cookies",
    "~orange|oranges",
    "coin|coins",
    "card|cards",
    "ball|balls",
    "toy|toys",
    "stamp|stamps",
    "shell|shells",
    "~egg|eggs",
    "pen|pens",
    "~candy|candies",
    "flower|flowers",
    "stone|stones",
    "button|buttons",
    "cup|cups",
    "bead|beads",
    "balloon|balloons",
    "~pear|pears",
    "~nut|nuts",
    "~cake|cakes",
    "~muffin|muffins",
    "bottle|bottles",
    "key|keys",
    "hat|hats",
    "plate|plates",
    "photo|photos",
    "badge|badges",
    "crayon|crayons",
    "~lemon|lemons",
    "ribbon|ribbons",
    "tile|tiles",
    "doll|dolls",
    "kite|kites",
    "~plum|plums",
    "~banana|bananas",
    "~peach|peaches",
    "~donut|donuts",
    "~sandwich|sandwiches",
    "notebook|notebooks",
    "comic|comics",
    "magazine|magazines",
    "postcard|postcards",
    "feather|feathers",
    "brick|bricks",
    "candle|candles",
    "rose|roses",
    "tulip|tulips",
    "~carrot|carrots",
    "~potato|potatoes",
    "~tomato|tomatoes",
    "~onion|onions",
    "~strawberry|strawberries",
    "~cherry|cherries",
    "~cupcake|cupcakes",
    "~pancake|pancakes",
    "bracelet|bracelets",
    "shirt|shirts",
    "glove|gloves",
    "poster|posters",
    "block|blocks",
    "puzzle|puzzles",
    "token|tokens",
    "paper clip|paper clips",
    "toy car|toy cars",
    "seed|seeds",
    "brush|brushes",
    "eraser|erasers",
    "video game|video games",
    "~chocolate|chocolates",
    "pebble|pebbles",
    "leaf|leaves",
    "!~mango|mangoes",
    "!lantern|lanterns",
    "!~walnut|walnuts",
    "!medal|medals",
    "!trinket|trinkets",
    "!~pretzel|pretzels",
    "!spool|spools",
    "!acorn|acorns",
    "!~turnip|turnips",
    "!whistle|whistles",
    "!~scone|scones",
    "!figurine|figurines",
};
static const char *const boxes[] = {
    "box|boxes",      "bag|bags",       "pack|packs",       "basket|baskets", "crate|crates",
    "jar|jars",       "tray|trays",     "package|packages", "carton|cartons", "bucket|buckets",
    "packet|packets", "case|cases",     "tin|tins",         "bundle|bundles", "container|containers",
    "!chest|chests",  "!pouch|pouches", "!hamper|hampers",
};
static const char *const items[] = {
    "jacket",   "bike",       "lamp",       "backpack",      "watch",         "radio",    "chair",
    "blanket",  "guitar",     "phone",      "camera",        "tent",          "table",    "sweater",
    "helmet",   "skateboard", "clock",      "desk",          "mirror",        "scarf",    "coat",
    "suitcase", "drum",       "board game", "pair of shoes", "pair of jeans", "dress",    "printer",
    "kettle",   "rug",        "umbrella",   "oven",          "armchair",      "!toaster", "!telescope",
    "!violin",  "!hammock",   "!easel",     "!sofa",         "!wok",          "!trumpet", "!globe",
    "!vase",
};
static const char *const kins[] = {
    "mother", "father",   "aunt",    "uncle", "grandmother", "grandfather", "sister",  "brother",
    "cousin", "neighbor", "teacher", "mom",   "dad",         "!godmother",  "!nephew",
};
static const char *const shops[] = {
    "shop",    "store",  "market",    "bakery", "toy store", "supermarket",
    "library", "school", "warehouse", "farm",   "!kiosk",    "!bazaar",
};
static const char *const cities[] = {
    "Berlin", "Paris",   "London",   "Rome",    "Madrid",  "Oslo",    "Tokyo",  "Cairo",  "Delhi",   "Lima",
    "Boston", "Chicago", "Sydney",   "Toronto", "Vienna",  "Prague",  "Warsaw", "Athens", "Dublin",  "Lisbon",
    "Seoul",  "Nairobi", "Helsinki", "Denver",  "Seattle", "Mumbai",  "Bogota", "Geneva", "Hamburg", "Porto",
    "Kyoto",  "Austin",  "!Riga",    "!Quito",  "!Accra",  "!Bergen", "!Lyon",  "!Osaka", "!Krakow",
};
const char *const words_days[] = { "Monday", "Tuesday",  "Wednesday", "Thursday",
                                   "Friday", "Saturday", "Sunday" };
const char *const words_months[] = { "January", "February", "March",     "April",   "May",      "June",
                                     "July",    "August",   "September", "October", "November", "December" };

const char *list_pick(struct rng *rng, const char *const *list, size_t count, bool held)
{
    bool is_held;
    return wording_pick(rng, (struct wordings){ list, count }, held, &is_held);
}

static const char *const onsets[] = { "b", "br", "c",  "ch", "d", "dr", "f",  "fl", "g",  "gr",
                                      "h", "j",  "k",  "kl", "l", "m",  "n",  "p",  "pr", "qu",
                                      "r", "s",  "sh", "st", "t", "tr", "th", "v",  "w",  "z" };
static const char *const vowels[] = { "a", "e", "i", "o", "u", "y", "ai", "ea", "ie", "oo", "ou" };
static const char *const codas[] = { "", "", "", "n", "r", "l", "s", "t", "m", "nd", "rt", "ck", "x", "ng" };
#define INVENTED_MAX   2 /* words; one has 18 letters at most */
#define ANY(rng, list) (list)[rng_below(rng, ARRAY_LEN(list))]

/* One to three syllables: "flieck", "Bandoutrys". Returns the length. */
static size_t invent(struct rng *rng, bool capital, char *out, size_t size)
{
    size_t len = 0;
    for (int64_t left = rng_range(rng, 1, 3); left > 0; left--) {
        const char *onset = ANY(rng, onsets), *vowel = ANY(rng, vowels), *coda = ANY(rng, codas);
        int wrote = snprintf(out + len, size - len, "%s%s%s", onset, vowel, coda);
        assert(wrote > 0 && (size_t)wrote < size - len);
        len += (size_t)wrote;
    }
    if (capital)
        out[0] = (char)(out[0] - 'a' + 'A');
    return len;
}

void words_or_invented(struct rng *rng, const char *word, bool held, char *out)
{
    size_t len = 0;
    if (held || rng_below(rng, 2)) {
        snprintf(out, WORD_MAX, "%s", word);
        return;
    }
    for (int words = 0; *word && words < INVENTED_MAX; words++) {
        if (words)
            out[len++] = ' ';
        len += invent(rng, *word >= 'A' && *word <= 'Z', out + len, WORD_MAX - len);
        word += strcspn(word, " ");
        word += *word == ' ';
    }
}

void words_quoted(struct rng *rng, const char *word, bool held, char *out)
{
    char plain[WORD_MAX];
    words_or_invented(rng, word, held, plain);
    snprintf(out, WORD_MAX + 2, "\"%s\"", plain);
}

const char *words_city(struct rng *rng, bool held)
{
    return LIST_PICK(rng, cities, held);
}

const char *words_name(struct rng *rng, bool held)
{
    return rng_below(rng, 2) ? LIST_PICK(rng, girls, held) : LIST_PICK(rng, boys, held);
}

static bool list_has(const char *const *list, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++)
        if (str_is(name, list[i] + (list[i][0] == '!')))
            return true;
    return false;
}

const char *words_other_name(struct rng *rng, struct str name)
{
    if (list_has(girls, ARRAY_LEN(girls), name))
        return LIST_PICK(rng, girls, false);
    return list_has(boys, ARRAY_LEN(boys), name) ? LIST_PICK(rng, boys, false) : NULL;
}

void shuffle(struct rng *rng, int *order, int count)
{
    for (int i = 0; i < count; i++) {
        int at = (int)rng_below(rng, (uint64_t)i + 1);
        order[i] = order[at];
        order[at] = i;
    }
}

void put_slip(struct exam_text *t, struct buf *out, const char *fmt, ...)
{
    char line[160];
    va_list args;
    if (t->slips <= 0 || rng_below(t->rng, 3))
        return;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    buf_printf(out, "%s\nwait\n", line);
    t->slips--;
}

int64_t put_op(struct exam_text *t, struct buf *out, const char *label, int64_t a, char op, int64_t b)
{
    int64_t value = apply_op(op, a, b), off = rng_range(t->rng, 1, value > 20 ? 10 : 2);
    bool bare = !label || t->effort == EXAM_LOW;
    const char *head = bare ? "" : label, *gap = bare ? "" : ": ";
    if (t->slips > 0)
        put_slip(t, out, "%s%s%lld%c%lld=%lld", head, gap, (long long)a, op, (long long)b,
                 (long long)(value + off));
    buf_printf(out, "%s%s%lld%c%lld=%lld\n", head, gap, (long long)a, op, (long long)b, (long long)value);
    return value;
}

void case_keep(struct exam_case *c, const void *own, size_t size)
{
    assert(size <= CASE_OWN_MAX);
    memcpy(c->own, own, size);
}

void case_recall(const struct exam_case *c, void *own, size_t size)
{
    memcpy(own, c->own, size);
}

/* --- the cast ------------------------------------------------------------------------------------------------ */

/* "~apple|apples": the singular ends at '|'. The list's own memory holds both, so one is a view that phrase_put cuts. */
static struct noun draw_noun(struct rng *rng, const char *const *list, size_t count, bool held)
{
    const char *entry = list_pick(rng, list, count, held);
    bool food = *entry == '~';
    entry += food;
    return (struct noun){ entry, strchr(entry, '|') + 1, food };
}

static bool has_name(const struct cast *k, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (k->people[i].name == name)
            return true;
    return false;
}

static bool has_item(const struct cast *k, int count, const char *item)
{
    for (int i = 0; i < count; i++)
        if (k->items[i] == item)
            return true;
    return false;
}

void cast_draw(struct rng *rng, struct cast *k, bool held)
{
    memset(k, 0, sizeof *k);
    for (int i = 0; i < CAST_PEOPLE; i++) {
        struct person *p = &k->people[i];
        do {
            p->girl = rng_below(rng, 2);
            p->name = p->girl ? LIST_PICK(rng, girls, held) : LIST_PICK(rng, boys, held);
        } while (has_name(k, i, p->name));
    }
    for (int i = 0; i < CAST_ITEMS; i++)
        do {
            k->items[i] = LIST_PICK(rng, items, held);
        } while (has_item(k, i, k->items[i]));
    int first = (int)rng_below(rng, 7);
    for (int i = 0; i < 7; i++)
        k->days[i] = words_days[(first + i) % 7];
    k->thing = draw_noun(rng, things, ARRAY_LEN(things), held);
    do {
        k->other = draw_noun(rng, things, ARRAY_LEN(things), held);
    } while (k->other.one == k->thing.one);
    k->box = draw_noun(rng, boxes, ARRAY_LEN(boxes), held);
    k->kin = LIST_PICK(rng, kins, held);
    k->shop = LIST_PICK(rng, shops, held);
    k->currency = rng_below(rng, 3) ? 0 : (int)rng_below(rng, 3);
    k->past = rng_below(rng, 2);
}

/* --- phrases --------------------------------------------------------------------------------------------------- */

static const char *const ones[] = { "zero",    "one",     "two",       "three",    "four",
                                    "five",    "six",     "seven",     "eight",    "nine",
                                    "ten",     "eleven",  "twelve",    "thirteen", "fourteen",
                                    "fifteen", "sixteen", "seventeen", "eighteen", "nineteen" };
static const char *const tens[] = { "twenty", "thirty",  "forty",  "fifty",
                                    "sixty",  "seventy", "eighty", "ninety" };

void put_number_word(struct buf *out, int64_t n)
{
    assert(n >= 0 && n <= 100);
    if (n < 20)
        buf_puts(out, ones[n]);
    else if (n == 100)
        buf_puts(out, "one hundred");
    else
        buf_printf(out, n % 10 ? "%s-%s" : "%s", tens[n / 10 - 2], ones[n % 10]);
}

const char *article_of(const char *noun)
{
    return strchr("aeiouAEIOU", *noun) && strncmp(noun, "uni", 3) != 0 ? "an" : "a";
}

const char *part_at(const char *list, int index)
{
    for (int depth = 0; index > 0; list++) {
        if (!*list)
            return NULL;
        depth += *list == '[' ? 1 : *list == ']' ? -1 : 0;
        index -= *list == '|' && !depth;
    }
    return list;
}

static void put_number(struct buf *out, const struct phrase *p, int64_t n)
{
    if (!p->label && n <= 20 && rng_below(p->rng, 7) == 0)
        put_number_word(out, n);
    else if (!p->label && n >= 1000 && n < 1000000 && rng_below(p->rng, 2))
        buf_printf(out, "%lld,%03lld", (long long)(n / 1000), (long long)(n % 1000));
    else
        buf_printf(out, "%lld", (long long)n);
}

static const char *const currencies[] = { "dollars", "euros", "pounds" };

static void put_money(struct buf *out, const struct phrase *p, int64_t n)
{
    if (p->cast->currency == 0 && !p->label && rng_below(p->rng, 3)) {
        buf_printf(out, "$%lld", (long long)n);
        return;
    }
    put_number(out, p, n);
    const char *unit = currencies[p->cast->currency];
    buf_printf(out, " %.*s", (int)(strlen(unit) - (n == 1)), unit);
}

static void put_times(struct buf *out, const struct phrase *p, int64_t n)
{
    if (n == 2) {
        buf_puts(out, "twice");
        return;
    }
    if (n <= 10 && rng_below(p->rng, 2))
        put_number_word(out, n);
    else
        buf_printf(out, "%lld", (long long)n);
    buf_puts(out, " times");
}

static void put_fraction(struct buf *out, const struct phrase *p, int64_t n)
{
    static const char *const words[] = { "half",      "a third",   "a quarter", "a fifth", "a sixth",
                                         "a seventh", "an eighth", "a ninth",   "a tenth" };
    assert(n >= 2 && n <= 10);
    if (!p->label && n > 2 && rng_below(p->rng, 3) == 0)
        buf_printf(out, "1/%lld", (long long)n);
    else
        buf_puts(out, words[n - 2]);
}

/* The main person at the start of a sentence. */
static void put_subject(struct buf *out, const struct phrase *p)
{
    static const char *const openers[] = {
        "",        "",       "",           "Then ",          "After that, ",
        "Later, ", "Next, ", "Later on, ", "The next day, ", "Soon after, "
    };
    const struct person *main = &p->cast->people[0];
    if (rng_below(p->rng, 4) == 0) {
        buf_puts(out, main->name);
        return;
    }
    buf_puts(out, openers[rng_below(p->rng, ARRAY_LEN(openers))]);
    buf_puts(out, main->girl ? "she" : "he");
}

static struct str singular(const struct noun *noun)
{
    return (struct str){ noun->one, strcspn(noun->one, "|") };
}

static void put_noun_slot(struct buf *out, struct str slot, const struct noun *noun)
{
    if (slot.len == 1)
        buf_puts(out, noun->many);
    else
        buf_put_str(out, singular(noun));
}

static bool put_number_slot(struct buf *out, const struct phrase *p, struct str slot)
{
    char letter = slot.ptr[slot.len - 1];
    if (letter < 'a' || letter > 'h' || slot.len > 2)
        return false;
    int64_t n = p->n[letter - 'a'];
    switch (slot.len == 2 ? slot.ptr[0] : 0) {
    case 0: put_number(out, p, n); return true;
    case '$': put_money(out, p, n); return true;
    case 'x': put_times(out, p, n); return true;
    case 'f': put_fraction(out, p, n); return true;
    default: return false;
    }
}

static const char *word_slot(const struct phrase *p, struct str slot)
{
    const struct cast *k = p->cast;
    bool girl = k->people[0].girl;
    const struct {
        const char *name, *word;
    } words[] = {
        { "N", k->people[0].name },
        { "M", k->people[p->who].name },
        { "K", k->people[p->other].name },
        { "D", k->days[p->who % 7] },
        { "E", k->days[p->other % 7] },
        { "he", girl ? "she" : "he" },
        { "him", girl ? "her" : "him" },
        { "his", girl ? "her" : "his" },
        { "boxes", k->box.many },
        { "kin", k->kin },
        { "shop", k->shop },
        { "i", k->items[p->who % CAST_ITEMS] },
        { "j", k->items[p->other % CAST_ITEMS] },
        { "u", currencies[k->currency] },
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_is(slot, words[i].name))
            return words[i].word;
    return NULL;
}

static void put_slot(struct buf *out, const struct phrase *p, struct str slot)
{
    const struct cast *k = p->cast;
    const char *word = word_slot(p, slot);
    if (word) {
        buf_puts(out, word);
    } else if (str_is(slot, "S")) {
        put_subject(out, p);
    } else if (str_is(slot, "box")) {
        buf_put_str(out, singular(&k->box));
    } else if (str_is(slot, "ao")) {
        buf_printf(out, "%s %.*s", article_of(k->thing.one), STR_ARG(singular(&k->thing)));
    } else if (str_is(slot, "ai") || str_is(slot, "aj")) {
        const char *item = k->items[(slot.ptr[1] == 'i' ? p->who : p->other) % CAST_ITEMS];
        buf_printf(out, "%s %s", article_of(item), item);
    } else if (slot.ptr[0] == 'o') {
        put_noun_slot(out, slot, &k->thing);
    } else if (slot.ptr[0] == 'q') {
        put_noun_slot(out, slot, &k->other);
    } else {
        bool known = put_number_slot(out, p, slot);
        assert(known);
        (void)known;
    }
}

void phrase_put(struct buf *out, const struct phrase *p, const char *text)
{
    while (*text) {
        size_t plain = strcspn(text, "{[|");
        buf_put(out, text, plain);
        text += plain;
        if (*text == '|')
            return;
        if (*text == '{') {
            size_t len = strcspn(text, "}");
            put_slot(out, p, (struct str){ text + 1, len - 1 });
            text += len + 1;
        } else if (*text == '[') {
            const char *verb = text + 1 + (p->cast->past ? strcspn(text, "|") : 0);
            buf_put(out, verb, strcspn(verb, "|]"));
            text += strcspn(text, "]") + 1;
        }
    }
}

void text_tidy(struct buf *text)
{
    bool start = true;
    for (size_t i = 0; i < text->len; i++) {
        char *c = &text->ptr[i];
        if (start && *c >= 'a' && *c <= 'z')
            *c = (char)(*c - 32);
        if (*c != ' ' && *c != '\n')
            start = false;
        bool ends = *c == '.' || *c == '?' || *c == '!';
        if (ends && i + 1 < text->len && (text->ptr[i + 1] == ' ' || text->ptr[i + 1] == '\n'))
            start = true;
    }
}

void pick_word(struct rng *rng, const char *kind, char *out, size_t size)
{
    int count = 1;
    const char *at = kind + 2;
    for (const char *c = at; *c; c++)
        count += *c == ',';
    for (uint64_t skip = rng_below(rng, (uint64_t)count); skip; skip--)
        at = strchr(at, ',') + 1;
    snprintf(out, size, "\"%.*s\"", (int)strcspn(at, ","), at);
}

void put_parts(struct buf *out, const char *wording, const struct buf *parts)
{
    for (; *wording; wording++) {
        if (*wording == '{') {
            buf_put_str(out, buf_str(&parts[wording[1] - '0']));
            wording += 2;
        } else {
            buf_putc(out, *wording);
        }
    }
}
