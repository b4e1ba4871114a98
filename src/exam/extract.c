/*
 * extract.c - answers in JSON to a given schema: facts in sentences, a schema in the system or the user's message.
 *
 * A case is a seed, from which a record is made: fields with values, sentences that say them, more facts than the
 * schema asks for. The level is the size and the nesting. The exam asks in withheld wordings, of withheld fields among
 * others. Replies are compared as JSON values, so order and blanks do not count; a number is not its string.
 */
#include "exam/words_impl.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>

#define FIELDS_MAX 8
#define TEXT_MAX   160
#define EXTRA_MAX  2

/* One fact: key, kind of value and sentences. Kinds: c city, i small number, y year, p price, b truth ("yes|no" sentence pairs),
 * e one of the words, w a thing, l list of things, d date. {N} is who it is about, {v} the value. */
struct fact {
    const char *key, *kind;
    const char *says[4]; /* for truths: the first half for yes, the second for no, '|' between */
};

static const struct fact person_facts[] = {
    { "age",
      "i",
      { "{N} is {v} years old.", "At {v} years, {N} is still curious.", "{N} turned {v} this year." } },
    { "city", "c", { "{N} lives in {v}.", "The home of {N} is in {v}.", "{N} moved to {v} some time ago." } },
    { "job",
      "e=teacher,nurse,farmer,baker,pilot,lawyer,driver,painter",
      { "{N} works as a {v}.", "By trade, {N} is a {v}.", "{N} earns money as a {v}." } },
    { "married", "b", { "{N} is married.|{N} is not married.", "{N} has married.|{N} has never married." } },
    { "birth_year", "y", { "{N} was born in {v}.", "The year of {N}'s birth is {v}." } },
    { "children", "i", { "{N} has {v} children.", "{v} children call {N} a parent." } },
    { "hobby",
      "e=chess,fishing,skating,dancing,reading,hiking,cooking",
      { "{N} likes {v}.", "In free time, {N} enjoys {v}.", "{N}'s hobby is {v}." } },
    { "height_cm", "i", { "{N} is 1{v} cm tall." } },
    { "has_car",
      "b",
      { "{N} owns a car.|{N} owns no car.",
        "{N} drives a car of their own.|{N} goes by bus, without a car." } },
    { "email", "m", { "You can write to {v}.", "The e-mail address is {v}." } },
    { "!shoe_size", "i", { "{N} wears shoes of size {v}." } },
    { "!instrument", "e=flute,cello,harp,banjo", { "{N} plays the {v}." } },
    { "!vegetarian", "b", { "{N} eats no meat.|{N} eats meat." } },
};
static const struct fact product_facts[] = {
    { "price",
      "p",
      { "It costs {v} dollars.", "The price is {v} dollars.", "One pays {v} dollars for it." } },
    { "quantity",
      "i",
      { "There are {v} of them in stock.", "The shop has {v} of them.", "{v} pieces are left." } },
    { "color",
      "e=red,blue,green,black,white,yellow",
      { "Its color is {v}.", "It is painted {v}.", "It comes in {v}." } },
    { "in_stock", "b", { "It can be had at once.|It is sold out.", "It is in stock.|It is not in stock." } },
    { "weight_kg", "i", { "It weighs {v} kg.", "Its weight is {v} kg." } },
    { "brand",
      "e=Acme,Nordic,Solara,Kite,Bravo",
      { "{v} makes it.", "The brand is {v}.", "It is made by {v}." } },
    { "year", "y", { "It was built in {v}.", "It dates from {v}." } },
    { "rating", "i", { "Buyers gave it {v} points.", "Its rating is {v}." } },
    { "material", "e=wood,steel,glass,leather,plastic", { "It is made of {v}.", "The material is {v}." } },
    { "!warranty_years", "i", { "The warranty runs for {v} years." } },
    { "!origin", "c", { "It was made in {v}." } },
};
static const struct fact event_facts[] = {
    { "date", "d", { "It takes place on {v}.", "The date is {v}.", "It was set for {v}." } },
    { "place", "c", { "It is held in {v}.", "The place is {v}.", "Everybody meets in {v}." } },
    { "guests",
      "i",
      { "{v} guests are expected.", "There will be {v} guests.", "It is planned for {v} guests." } },
    { "price", "p", { "A ticket costs {v} dollars.", "One ticket is {v} dollars." } },
    { "public",
      "b",
      { "Anyone may come.|It is private.", "It is open to the public.|It is closed to the public." } },
    { "kind", "e=concert,lecture,fair,dinner,workshop", { "It is a {v}.", "This is a {v}." } },
    { "hours", "i", { "It lasts {v} hours.", "It goes on for {v} hours." } },
    { "outdoors", "b", { "It takes place outside.|It takes place inside." } },
    { "!speakers", "i", { "{v} people will speak." } },
    { "!host", "n", { "The host is {v}." } },
};
static const struct subject {
    const char *key, *intro; /* key of the name; {N} is it */
    const struct fact *facts;
    size_t len;
    const char *list_key, *list_says;    /* an array of words: {v} */
    const char *inner_key;               /* an object */
    const char *inner_keys[2];           /* a word (city) and a number */
    const char *inner_says;              /* {c} and {i} */
    const char *rows_key, *rows_keys[2]; /* an array of objects: a name and a number */
    const char *row_says;
} subjects[] = {
    { "name",
      "This is about {N}.",
      person_facts,
      ARRAY_LEN(person_facts),
      "collects",
      "{N} collects {v}.",
      "address",
      { "city", "number" },
      "{N}'s house is number {i} in a street of {c}.",
      "pets",
      { "name", "age" },
      "A pet called {n} is {i} years old." },
    { "product",
      "Today's offer: {N}.",
      product_facts,
      ARRAY_LEN(product_facts),
      "parts",
      "In the box are {v}.",
      "seller",
      { "city", "id" },
      "The seller sits in {c} and has the number {i}.",
      "reviews",
      { "user", "points" },
      "{n} gave {i} points." },
    { "title",
      "Something is planned: {N}.",
      event_facts,
      ARRAY_LEN(event_facts),
      "bring",
      "Please bring {v}.",
      "room",
      { "city", "floor" },
      "The room is in {c} on floor {i}.",
      "teams",
      { "leader", "members" },
      "{n} leads a team of {i}." },
};

struct entry {
    const struct fact *fact;
    char value[64]; /* JSON */
};

struct record {
    const struct subject *about;
    char name[WORD_MAX];
    struct entry fields[FIELDS_MAX];
    int fields_len; /* asked for; extra ones follow */
    int extra;
    char words[3][WORD_MAX]; /* of the list */
    int words_len;
    char city[WORD_MAX], names[3][WORD_MAX];
    int inner_number, numbers[3], rows_len; /* rows_len 0: none */
    bool inner;
};

/* --- the record --------------------------------------------------------------------------------------------------------------- */

static void pick_value(struct rng *rng, const char *kind, bool held, char *out, size_t size)
{
    static const char *const mails[] = { "info@example.org", "mail@example.com", "hello@example.net",
                                         "contact@example.org" };
    switch (*kind) {
    case 'c': words_quoted(rng, words_city(rng, held && rng_below(rng, 2)), held, out); break;
    case 'n': words_quoted(rng, words_name(rng, held && rng_below(rng, 2)), held, out); break;
    case 'i': snprintf(out, size, "%d", (int)rng_range(rng, 2, 120)); break;
    case 'y': snprintf(out, size, "%d", (int)rng_range(rng, 1920, 2024)); break;
    case 'p': snprintf(out, size, "%d.%d5", (int)rng_range(rng, 1, 200), (int)rng_range(rng, 0, 9)); break;
    case 'b': snprintf(out, size, "%s", rng_below(rng, 2) ? "true" : "false"); break;
    case 'd':
        snprintf(out, size, "\"20%02d-%02d-%02d\"", (int)rng_range(rng, 20, 35), (int)rng_range(rng, 1, 12),
                 (int)rng_range(rng, 1, 28));
        break;
    case 'm': snprintf(out, size, "\"%s\"", mails[rng_below(rng, ARRAY_LEN(mails))]); break;
    default: pick_word(rng, kind, out, size); break;
    }
}

static void draw_fields(struct rng *rng, struct record *r, int count, bool held)
{
    int order[16];
    shuffle(rng, order, (int)r->about->len);
    for (size_t i = 0; i < r->about->len && r->fields_len + r->extra < count + EXTRA_MAX; i++) {
        const struct fact *fact = &r->about->facts[order[i]];
        if (*fact->key == '!' && !held)
            continue;
        struct entry *f = &r->fields[r->fields_len + r->extra];
        f->fact = fact;
        pick_value(rng, fact->kind, held, f->value, sizeof f->value);
        /* heights are told as "1{v} cm" */
        if (strcmp(fact->key, "height_cm") == 0)
            snprintf(f->value, sizeof f->value, "%d", (int)rng_range(rng, 110, 199));
        if (r->fields_len < count)
            r->fields_len++;
        else
            r->extra++;
    }
}

/* Levels: 1-4 so many fields, 5 and a list, 6 and an object, 7 and rows, 8 all of it. */
static void make_record(struct rng *rng, struct record *r, int level, bool held)
{
    static const char *const titles[] = { "Spring Meeting", "Night of Lights", "Old Songs", "Green Day",
                                          "Open House",     "Winter Games",    "River Walk" };
    struct cast k;
    memset(r, 0, sizeof *r);
    cast_draw(rng, &k, held && rng_below(rng, 2));
    size_t about = (size_t)rng_below(rng, ARRAY_LEN(subjects));
    r->about = &subjects[about];
    words_or_invented(rng,
                      about == 0   ? k.people[0].name
                      : about == 1 ? k.items[0]
                                   : titles[rng_below(rng, ARRAY_LEN(titles))],
                      held, r->name);
    draw_fields(rng, r, level <= 4 ? level : level <= 6 ? 2 : level == 7 ? 1 : 3, held);
    if (level == 5 || level == 8) {
        r->words_len = (int)rng_range(rng, 2, 3);
        words_or_invented(rng, k.thing.many, held, r->words[0]);
        words_or_invented(rng, k.other.many, held, r->words[1]);
        words_or_invented(rng, k.box.many, held, r->words[2]);
    }
    r->inner = level == 6 || level == 8;
    words_or_invented(rng, words_city(rng, false), held, r->city);
    r->inner_number = (int)rng_range(rng, 1, 120);
    r->rows_len = level == 7 ? 2 : level == 8 ? 3 : 0;
    for (int i = 0; i < r->rows_len; i++) {
        words_or_invented(rng, k.people[i + 1].name, held, r->names[i]);
        r->numbers[i] = (int)rng_range(rng, 1, 15);
    }
}

static const char *field_key(const struct fact *fact)
{
    return fact->key + (*fact->key == '!');
}

/* --- in sentences ----------------------------------------------------------------------------------------------------------------- */

struct slots {
    const char *name, *value, *city, *person;
    int number;
};

static void put_filled(struct buf *out, const char *text, size_t len, const struct slots *s)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '{') {
            buf_putc(out, text[i]);
            continue;
        }
        switch (text[i + 1]) {
        case 'N': buf_puts(out, s->name); break;
        case 'v': buf_puts(out, s->value); break;
        case 'c': buf_puts(out, s->city); break;
        case 'n': buf_puts(out, s->person); break;
        default: buf_printf(out, "%d", s->number); break;
        }
        i += 2;
    }
}

static void put_fact(struct rng *rng, struct buf *out, const struct record *r, const struct entry *f)
{
    size_t count = 0;
    while (count < ARRAY_LEN(f->fact->says) && f->fact->says[count])
        count++;
    const char *text = f->fact->says[rng_below(rng, count)];
    size_t len = strcspn(text, "|");
    if (*f->fact->kind == 'b' && f->value[0] == 'f') {
        text += len + 1;
        len = strlen(text);
    }
    char plain[64];
    snprintf(plain, sizeof plain, "%s", f->value[0] == '"' ? f->value + 1 : f->value);
    if (f->value[0] == '"')
        plain[strlen(plain) - 1] = 0;
    bool height = strcmp(f->fact->key, "height_cm") == 0;
    put_filled(out, text, len, &(struct slots){ .name = r->name, .value = height ? plain + 1 : plain });
}

static void put_sentences(struct rng *rng, struct buf *out, const struct record *r)
{
    int order[FIELDS_MAX], count = r->fields_len + r->extra;
    struct slots s = { .name = r->name, .city = r->city, .number = r->inner_number };
    put_filled(out, r->about->intro, strlen(r->about->intro), &s);
    shuffle(rng, order, count);
    for (int i = 0; i < count; i++) {
        buf_putc(out, ' ');
        put_fact(rng, out, r, &r->fields[order[i]]);
    }
    if (r->words_len) {
        char list[TEXT_MAX];
        snprintf(list, sizeof list, r->words_len == 2 ? "%s and %s" : "%s, %s and %s", r->words[0],
                 r->words[1], r->words[2]);
        s.value = list;
        buf_putc(out, ' ');
        put_filled(out, r->about->list_says, strlen(r->about->list_says), &s);
    }
    if (r->inner) {
        buf_putc(out, ' ');
        put_filled(out, r->about->inner_says, strlen(r->about->inner_says), &s);
    }
    for (int i = 0; i < r->rows_len; i++) {
        buf_putc(out, ' ');
        s.person = r->names[i];
        s.number = r->numbers[i];
        put_filled(out, r->about->row_says, strlen(r->about->row_says), &s);
    }
}

/* --- as JSON and as a schema ---------------------------------------------------------------------------------------------------------- */

/* {"name": "Anna", "age": 34} with a blank behind ':' and ','. */
static void put_record(struct buf *out, const struct record *r)
{
    buf_printf(out, "{\"%s\": \"%s\"", r->about->key, r->name);
    for (int i = 0; i < r->fields_len; i++)
        buf_printf(out, ", \"%s\": %s", field_key(r->fields[i].fact), r->fields[i].value);
    if (r->words_len) {
        buf_printf(out, ", \"%s\": [", r->about->list_key);
        for (int i = 0; i < r->words_len; i++)
            buf_printf(out, "%s\"%s\"", i ? ", " : "", r->words[i]);
        buf_putc(out, ']');
    }
    if (r->inner)
        buf_printf(out, ", \"%s\": {\"%s\": \"%s\", \"%s\": %d}", r->about->inner_key,
                   r->about->inner_keys[0], r->city, r->about->inner_keys[1], r->inner_number);
    if (r->rows_len)
        buf_printf(out, ", \"%s\": [", r->about->rows_key);
    for (int i = 0; i < r->rows_len; i++)
        buf_printf(out, "%s{\"%s\": \"%s\", \"%s\": %d}", i ? ", " : "", r->about->rows_keys[0], r->names[i],
                   r->about->rows_keys[1], r->numbers[i]);
    buf_puts(out, r->rows_len ? "]}" : "}");
}

static void put_type(struct json_writer *w, const char *key, const char *type)
{
    jw_key(w, key);
    jw_begin_object(w);
    jw_key_cstring(w, "type", type);
    jw_end_object(w);
}

static void put_object_end(struct json_writer *w, const char *const *keys, int count, bool closed)
{
    jw_end_object(w);
    jw_key(w, "required");
    jw_begin_array(w);
    for (int i = 0; i < count; i++)
        jw_cstring(w, keys[i]);
    jw_end_array(w);
    if (closed) {
        jw_key_bool(w, "additionalProperties", false);
    }
    jw_end_object(w);
}

static void put_object_begin(struct json_writer *w)
{
    jw_begin_object(w);
    jw_key_cstring(w, "type", "object");
    jw_key(w, "properties");
    jw_begin_object(w);
}

static void put_pair(struct json_writer *w, const char *const *keys, bool closed)
{
    put_object_begin(w);
    put_type(w, keys[0], "string");
    put_type(w, keys[1], "integer");
    put_object_end(w, keys, 2, closed);
}

static void put_schema(struct rng *rng, struct buf *out, const struct record *r)
{
    struct json_writer w = { .out = out };
    const char *keys[FIELDS_MAX + 4];
    int count = 0;
    bool closed = rng_below(rng, 2);
    put_object_begin(&w);
    keys[count++] = r->about->key;
    put_type(&w, r->about->key, "string");
    for (int i = 0; i < r->fields_len; i++) {
        char kind = *r->fields[i].fact->kind;
        keys[count] = field_key(r->fields[i].fact);
        put_type(&w, keys[count++],
                 kind == 'i' || kind == 'y' ? "integer"
                 : kind == 'p'              ? "number"
                 : kind == 'b'              ? "boolean"
                                            : "string");
    }
    if (r->words_len) {
        keys[count++] = r->about->list_key;
        jw_key(&w, r->about->list_key);
        jw_raw(&w, STR("{\"type\":\"array\",\"items\":{\"type\":\"string\"}}"));
    }
    if (r->inner) {
        keys[count++] = r->about->inner_key;
        jw_key(&w, r->about->inner_key);
        put_pair(&w, r->about->inner_keys, closed);
    }
    if (r->rows_len) {
        keys[count++] = r->about->rows_key;
        jw_key(&w, r->about->rows_key);
        jw_begin_object(&w);
        jw_key_cstring(&w, "type", "array");
        jw_key(&w, "items");
        put_pair(&w, r->about->rows_keys, closed);
        jw_end_object(&w);
    }
    put_object_end(&w, keys, count, closed);
}

/* --- the family ------------------------------------------------------------------------------------------------------------------------- */

/* {} is the schema */
static const char *const system_wordings[] = {
    "Reply in JSON matching this schema: {}",
    "Answer with a JSON object that matches this schema:\n{}",
    "You extract data. Reply with JSON only. Schema: {}",
    "Output JSON that conforms to: {}",
    "Respond only in JSON. The schema is {}",
    "Your replies are JSON objects of this schema: {}",
    "Always answer in JSON by this schema:\n{}",
    "Turn the user's text into JSON. Schema: {}",
    "!Give back JSON and nothing else, valid against {}",
    "!The reply must validate against this JSON schema: {}",
    "!Write JSON according to {}",
};
static const char *const user_wordings[] = {
    "Extract the data as JSON matching this schema: {}",
    "Give me this as JSON with the schema {}",
    "Fill in this JSON schema: {}",
    "Return JSON that matches {}",
    "Reply in JSON matching this schema: {}",
    "Put the facts into JSON. Schema: {}",
    "As JSON, please, by this schema: {}",
    "What does the text say? Answer in JSON of this schema: {}",
    "!Collect the facts in JSON, schema {}",
    "!Produce a JSON object for the schema {}",
};

static void draw_json(struct rng *rng, int level, struct exam_case *c)
{
    (void)level;
    c->n[0] = (int64_t)(rng_u64(rng) >> 1); /* everything else comes from this seed */
    c->few = true;
    c->key = case_key("json", c->n, 1);
}

/* Where each value was found. */
static void put_lines(struct exam_text *t, struct buf *out, const struct record *r, bool slips)
{
    for (int i = 0; i < r->fields_len; i++) {
        if (slips && i + 1 < r->fields_len + r->extra)
            put_slip(t, out, "%s: %s", field_key(r->fields[i].fact), r->fields[i + 1].value);
        buf_printf(out, "%s: %s\n", field_key(r->fields[i].fact), r->fields[i].value);
    }
    for (int i = 0; i < r->words_len; i++)
        buf_printf(out, "%s %d: %s\n", r->about->list_key, i + 1, r->words[i]);
    if (r->inner)
        buf_printf(out, "%s: %s, %d\n", r->about->inner_key, r->city, r->inner_number);
    for (int i = 0; i < r->rows_len; i++)
        buf_printf(out, "%s %d: %s, %d\n", r->about->rows_key, i + 1, r->names[i], r->numbers[i]);
}

static void put_working(struct exam_text *t, const struct record *r)
{
    buf_printf(t->trace, "%s: %s\n", r->about->key, r->name);
    if (t->effort > EXAM_LOW)
        put_lines(t, t->trace, r, true);
    buf_puts(t->recheck, "check\n");
    for (int i = 0; i < r->fields_len; i++) {
        char kind = *r->fields[i].fact->kind;
        buf_printf(t->recheck, "%s is %s: %s\n", field_key(r->fields[i].fact),
                   kind == 'i' || kind == 'y' ? "integer"
                   : kind == 'p'              ? "number"
                   : kind == 'b'              ? "boolean"
                                              : "string",
                   r->fields[i].value);
    }
    if (t->effort == EXAM_XHIGH) {
        buf_puts(t->recheck, "again\n");
        put_lines(t, t->recheck, r, false);
    }
    buf_puts(t->recheck, "ok\n");
}

static bool ask_json(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    struct rng own;
    struct record r;
    struct buf schema = { 0 }, facts = { 0 };
    bool held;
    rng_init(&own, (uint64_t)c->n[0], 0);
    make_record(&own, &r, c->level, withheld);
    put_schema(&own, &schema, &r);
    put_sentences(&own, &facts, &r);
    if (rng_below(&own, 2)) {
        wording_put(t->system, wording_pick(&own, WORDINGS(system_wordings), withheld, &held),
                    buf_str(&schema));
        buf_put_str(t->question, buf_str(&facts));
    } else {
        bool before = rng_below(&own, 2);
        if (before)
            buf_printf(t->question, "%s\n", facts.ptr);
        wording_put(t->question, wording_pick(&own, WORDINGS(user_wordings), withheld, &held),
                    buf_str(&schema));
        if (!before)
            buf_printf(t->question, "\n%s", facts.ptr);
    }
    put_working(t, &r);
    put_record(t->visible, &r);
    buf_put_str(t->answer, buf_str(t->visible));
    buf_free(&schema);
    buf_free(&facts);
    return withheld;
}

/* Everything was written with the question: the case is no more than its seed. */
static void solve_json(const struct exam_case *c, struct exam_text *t)
{
    (void)c;
    (void)t;
}

/* JSON, also between ``` fences. */
bool check_json(struct str reply, struct str answer)
{
    json_t *given = NULL, *wanted = NULL;
    reply = str_trim(reply);
    if (str_starts(reply, STR("```")) && str_ends(reply, STR("```")) && reply.len > 6) {
        size_t line = str_find(reply, STR("\n"));
        reply = str_trim(str_slice(reply, line == SIZE_MAX ? 3 : line, reply.len - 3));
    }
    bool same =
        !json_read(&given, reply, NULL) && !json_read(&wanted, answer, NULL) && json_equal(given, wanted);
    json_decref(given);
    json_decref(wanted);
    return same;
}

const struct exam_family family_json = {
    .name = "json",
    .what = "facts as JSON to a schema: 1-4 so many fields, 5 a list, 6 an object, 7 rows, 8 all of them",
    .levels = 8,
    .draw = draw_json,
    .ask = ask_json,
    .solve = solve_json,
    .check = check_json,
};
