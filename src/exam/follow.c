/*
 * follow.c - instructions that change the visible reply, and conversations that go on from a result.
 *
 * Both wrap another family: its case, question and working stay as they are, and so does the split by its key. An
 * instruction stands in the system message or behind the question; the exam words it as training never does. What a
 * reply must look like is part of the answer, as "form|value".
 */
#include "exam/words_impl.h"

#include <stdio.h>
#include <string.h>

enum form { BARE, BRIEF, JSON_FORM, SENTENCE, UNIT_WORDS, STYLE, MARKED, TALK, FORMS };

static const char *const bare_wordings[] = {
    "Answer with the number only.",
    "Give only the result.",
    "Reply with nothing but the answer.",
    "Only the result, please.",
    "Just the answer, no words.",
    "Output the answer alone.",
    "Write only the final value.",
    "Return just the result.",
    "No explanation, only the answer.",
    "Answer with the value only.",
    "I only want the result.",
    "Respond with the answer and nothing else.",
    "Print the result only.",
    "Say only the answer.",
    "!The bare result will do.",
    "!Nothing but the value, please.",
    "!Leave out everything except the answer.",
};
static const char *const brief_wordings[] = {
    "Be brief.",
    "Keep it short.",
    "Be concise.",
    "Short answers only.",
    "Answer briefly.",
    "Answer in as few words as possible.",
    "As short as possible.",
    "Use few words.",
    "Be very short.",
    "Make it short.",
    "You answer in telegram style.",
    "!Be terse.",
    "!Waste no words.",
    "!Short and to the point, please.",
};
/* {} is the key */
static const char *const json_wordings[] = {
    "Reply in JSON: {\"#\": ...}",
    "Reply in JSON with the key \"#\".",
    "Answer as a JSON object with one key, #.",
    "Give the result as JSON, like {\"#\": ...}.",
    "Output JSON only, with the field \"#\".",
    "Respond in JSON. The key is #.",
    "Always reply in JSON: {\"#\": <result>}",
    "Your answer must be JSON with \"#\".",
    "Format: {\"#\": ...}",
    "Return a JSON object {\"#\": ...}.",
    "!Wrap the result in JSON under \"#\".",
    "!JSON, please, with # as the only key.",
};
static const char *const json_keys[] = { "answer",   "answer",       "answer",  "result", "value",
                                         "solution", "final_answer", "!output", "!total", "!response" };
static const char *const sentence_wordings[] = {
    "Answer in a full sentence.",
    "Write the answer as a sentence.",
    "Use a complete sentence.",
    "Reply with one sentence.",
    "Answer in one sentence.",
    "Put your answer into a sentence.",
    "Please answer in a whole sentence.",
    "Always speak in full sentences.",
    "!Phrase the answer as a sentence.",
    "!I prefer full sentences.",
};
static const char *const boxed_wordings[] = {
    "Put the final answer in \\boxed{}.", "Write the answer in \\boxed{}.",
    "Give the result inside \\boxed{}.",  "Your final answer belongs in \\boxed{}.",
    "Box the answer with \\boxed{}.",     "!Finish with \\boxed{} around the answer.",
};
static const char *const hash_wordings[] = {
    "End with #### and the answer.",         "Write the answer behind ####.",
    "Give the final answer after \"####\".", "Finish with a line \"#### answer\".",
    "!Mark the answer with ####.",
};
/* {} is a language */
static const char *const unit_wordings[] = {
    "Write the unit behind the number, in {}.",
    "Give the answer with its unit in {}.",
    "Name the unit in {}.",
    "Use {} for the names of units.",
    "Units in {}, please.",
    "Answer with number and unit; the unit in {}.",
    "!Say the unit in {}.",
    "!The unit's name should be in {}.",
};

static const char *const languages[] = { "German", "French", "Spanish", "Italian", "English" };
static const struct {
    const char *unit, *words[5];
} units[] = {
    { "minutes", { "Minuten", "minutes", "minutos", "minuti", "minutes" } },
    { "seconds", { "Sekunden", "secondes", "segundos", "secondi", "seconds" } },
    { "hours", { "Stunden", "heures", "horas", "ore", "hours" } },
    { "days",
      { "Tage", "jours",
        "d\xc3\xad"
        "as",
        "giorni", "days" } },
    { "meters", { "Meter", "m\xc3\xa8tres", "metros", "metri", "meters" } },
    { "grams", { "Gramm", "grammes", "gramos", "grammi", "grams" } },
    { "months", { "Monate", "mois", "meses", "mesi", "months" } },
    { "cents", { "Cent", "centimes", "centavos", "centesimi", "cents" } },
    { "inches", { "Zoll", "pouces", "pulgadas", "pollici", "inches" } },
    { "feet", { "Fu\xc3\x9f", "pieds", "pies", "piedi", "feet" } },
    { "quarts", { "Quart", "quarts", "cuartos", "quarti", "quarts" } },
    { "ounces", { "Unzen", "onces", "onzas", "once", "ounces" } },
};

/* Ways to greet: what the system message says, and what must be in the reply. */
static const struct {
    const char *word, *asks[6], *reply;
} styles[] = {
    { "Ahoy",
      { "Talk like a pirate.", "You are a pirate.", "Speak like a pirate.", "Answer like a pirate.",
        "Always talk like a pirate, matey.", "!Use the language of pirates." },
      "Ahoy, matey! Hand me an exercise, and I will work it out, arr!" },
    { "Howdy",
      { "Talk like a cowboy.", "You are a cowboy.", "Speak like a cowboy.", "Answer as a cowboy would.",
        "You talk like people of the Wild West.", "!Use the words of a cowboy." },
      "Howdy, partner! Throw me an exercise, and I reckon I can work it out." },
    { "Beep",
      { "Talk like a robot.", "You are a robot from a film.", "Speak like a robot.",
        "Answer like an old robot.", "You sound like a robot.", "!Use robot speech." },
      "Beep. Hello, human. Enter an exercise. I will compute. Beep." },
    { "Bonjour",
      { "Greet in French.", "Say hello in French.", "Your greetings are in French.",
        "When greeted, greet back in French.", "Use a French greeting.", "!Welcome people in French." },
      "Bonjour ! Give me an exercise and I will work it out." },
    { "Hola",
      { "Greet in Spanish.", "Say hello in Spanish.", "Your greetings are in Spanish.",
        "When greeted, greet back in Spanish.", "Use a Spanish greeting.", "!Welcome people in Spanish." },
      "\xc2\xa1Hola! Give me an exercise and I will work it out." },
    { "Hallo",
      { "Greet in German.", "Say hello in German.", "Your greetings are in German.",
        "When greeted, greet back in German.", "Use a German greeting.", "!Welcome people in German." },
      "Hallo! Give me an exercise and I will work it out." },
    { "Good day",
      { "Be very formal.", "You are a butler.", "Speak like a butler.", "Address the user formally.",
        "Always be formal and polite.", "!Use the manners of a butler." },
      "Good day. It would be my pleasure to work out an exercise for you." },
};

/* Families that can be wrapped: their answer is one value. */
static const char *const wrapped[] = { "add",   "sub",   "mul",     "expr",  "linear", "gcd",
                                       "story", "story", "story",   "story", "clock",  "date",
                                       "unit",  "order", "letters", "div" };
/* Those whose answer is a whole number of at least one, to go on from. */
static const char *const counted[] = { "add", "mul", "gcd", "story", "story", "add" };

enum { FORM, INNER, IN_SYSTEM, SEED }; /* of exam_case.wrap */

static const struct exam_family *inner_of(const struct exam_case *c)
{
    return exam_family_at((size_t)c->wrap[INNER]);
}

static void draw_inner(struct rng *rng, struct exam_case *c, const char *name, int level_max)
{
    const struct exam_family *f = NULL;
    for (size_t i = 0; !f; i++)
        if (strcmp(exam_family_at(i)->name, name) == 0) {
            f = exam_family_at(i);
            c->wrap[INNER] = (int64_t)i;
        }
    if (level_max > f->levels)
        level_max = f->levels;
    c->level = (int)rng_range(rng, 1, level_max);
    f->draw(rng, c->level, c);
}

static void draw_follow(struct rng *rng, int level, struct exam_case *c)
{
    c->wrap[FORM] = level - 1;
    c->wrap[IN_SYSTEM] = rng_below(rng, 5) < 3;
    c->wrap[SEED] = (int64_t)(rng_u64(rng) >> 1);
    if (level - 1 == STYLE)
        draw_inner(rng, c, "greet", 1);
    else if (level - 1 == UNIT_WORDS)
        do {
            draw_inner(rng, c, "unit", 3);
        } while (c->level == 2);
    else if (level - 1 == TALK)
        draw_inner(rng, c, counted[rng_below(rng, ARRAY_LEN(counted))], 3);
    else
        draw_inner(rng, c, wrapped[rng_below(rng, ARRAY_LEN(wrapped))], 5);
}

/* The inner family's working as its effort has it. What the effort put behind the trace is not put there again. */
static void solve_inner(const struct exam_case *c, struct exam_text *t)
{
    effort_solve(inner_of(c), c, t, false, t->whole);
    if (t->effort >= EXAM_HIGH)
        buf_clear(t->recheck);
}

/* --- asking ---------------------------------------------------------------------------------------------------------------- */

/* The instruction, where the case has it. */
static void put_instruction(const struct exam_case *c, struct exam_text *t, struct str text)
{
    if (c->wrap[IN_SYSTEM]) {
        static const char *const heads[] = {
            "", "", "", "You are a helpful assistant. ", "You solve exercises. ", "You are thinkd. "
        };
        buf_puts(t->system, heads[rng_below(t->rng, ARRAY_LEN(heads))]);
        buf_put_str(t->system, text);
        return;
    }
    buf_puts(t->question, rng_below(t->rng, 3) ? " " : "\n");
    buf_put_str(t->question, text);
}

/* A wording whose '#' or "{}" is filled. */
static void put_filled(struct buf *out, const char *wording, const char *inner)
{
    for (; *wording; wording++)
        if (*wording == '#' && wording[1] != '#' && (out->len == 0 || out->ptr[out->len - 1] != '#'))
            buf_puts(out, inner);
        else
            buf_putc(out, *wording);
}

/* What the case instructs, and in a word (key, language, mark) what the reply needs. */
static const char *pick_instruction(const struct exam_case *c, struct exam_text *t, bool held,
                                    struct buf *out)
{
    struct rng own;
    bool is_held;
    rng_init(&own, (uint64_t)c->wrap[SEED], 0);
    const char *word = "";
    switch (c->wrap[FORM]) {
    case BRIEF: buf_puts(out, wording_pick(t->rng, WORDINGS(brief_wordings), held, &is_held)); break;
    case JSON_FORM:
        word = wording_pick(&own, WORDINGS(json_keys), held && rng_below(&own, 2), &is_held);
        put_filled(out, wording_pick(t->rng, WORDINGS(json_wordings), held, &is_held), word);
        break;
    case SENTENCE: buf_puts(out, wording_pick(t->rng, WORDINGS(sentence_wordings), held, &is_held)); break;
    case UNIT_WORDS:
        word = languages[rng_below(&own, ARRAY_LEN(languages))];
        wording_put(out, wording_pick(t->rng, WORDINGS(unit_wordings), held, &is_held), str_from(word));
        break;
    case MARKED:
        word = rng_below(&own, 2) ? "boxed" : "hash";
        buf_puts(out, wording_pick(t->rng, *word == 'b' ? WORDINGS(boxed_wordings) : WORDINGS(hash_wordings),
                                   held, &is_held));
        break;
    default: buf_puts(out, wording_pick(t->rng, WORDINGS(bare_wordings), held, &is_held)); break;
    }
    return word;
}

/* Replaces what the inner family wrote by what was asked for. */
static void put_reply(const struct exam_case *c, struct exam_text *t, const char *word)
{
    static const char *const names[FORMS] = { "bare", "bare",  "json",  "sentence",
                                              "unit", "style", "boxed", "bare" };
    static const char *const sentences[] = { "The answer is %s.", "The result is %s.", "It is %s." };
    struct buf value = { 0 };
    int64_t number;
    buf_put_str(&value, buf_str(t->answer));
    bool is_number = str_to_i64(buf_str(&value), &number);
    buf_clear(t->visible);
    buf_clear(t->answer);
    buf_printf(t->answer, "%s|", *word == 'h' && c->wrap[FORM] == MARKED ? "hash" : names[c->wrap[FORM]]);
    switch (c->wrap[FORM]) {
    case JSON_FORM:
        buf_printf(t->visible, is_number ? "{\"%s\": %s}" : "{\"%s\": \"%s\"}", word, value.ptr);
        buf_put_str(t->answer, buf_str(t->visible));
        break;
    case SENTENCE:
        buf_printf(t->visible, sentences[rng_below(t->rng, ARRAY_LEN(sentences))], value.ptr);
        buf_put_str(t->answer, buf_str(&value));
        break;
    case MARKED:
        buf_printf(t->visible, *word == 'b' ? "\\boxed{%s}" : "#### %s", value.ptr);
        buf_put_str(t->answer, buf_str(&value));
        break;
    default:
        buf_put_str(t->visible, buf_str(&value));
        buf_put_str(t->answer, buf_str(&value));
        break;
    }
    buf_free(&value);
}

/* The unit that the case asks for, in that language; abbreviations are the same in all. */
static const char *unit_word(const struct exam_case *c, const char *language)
{
    const char *unit = unit_asked(c);
    size_t l = 0;
    while (strcmp(languages[l], language) != 0)
        l++;
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (strcmp(units[i].unit, unit) == 0)
            return units[i].words[l];
    return unit;
}

static void put_unit_reply(struct exam_text *t, const char *unit)
{
    struct buf value = { 0 };
    buf_put_str(&value, buf_str(t->answer));
    buf_clear(t->visible);
    buf_clear(t->answer);
    buf_printf(t->visible, "Answer: %s %s", value.ptr, unit);
    buf_printf(t->answer, "unit|%s|%s", unit, value.ptr);
    buf_free(&value);
}

static bool ask_style(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    size_t style = (size_t)c->wrap[SEED] % ARRAY_LEN(styles);
    bool held;
    inner_of(c)->ask(c, t, withheld);
    buf_clear(t->visible);
    buf_puts(t->system,
             wording_pick(t->rng, (struct wordings){ styles[style].asks, ARRAY_LEN(styles[style].asks) },
                          withheld, &held));
    buf_puts(t->trace, "A greeting; the system message says how.\n");
    if (t->effort > EXAM_LOW)
        buf_printf(t->trace, "%s\n", t->system->ptr);
    buf_printf(t->recheck, "check\n%s: %s\nok\n", t->system->ptr, styles[style].word);
    buf_puts(t->visible, styles[style].reply);
    buf_printf(t->answer, "style|%s", styles[style].word);
    return held;
}

/* --- going on from a result --------------------------------------------------------------------------------------------------- */

static const struct {
    char op;
    const char *wordings[10];
} goings[] = {
    { '+',
      { "Now add {} to that.", "Add {} to the result.", "And plus {}?", "What is that plus {}?",
        "Now add {}.", "Increase it by {}.", "And if you add {}?", "Plus {}, please.",
        "!Put {} on top of that.", "!With {} more, what is it?" } },
    { '-',
      { "Now subtract {} from that.", "Subtract {} from the result.", "And minus {}?",
        "What is that minus {}?", "Take away {}.", "Decrease it by {}.", "And if you take {} away?",
        "Minus {}, please.", "!Remove {} from it.", "!Lower that by {}." } },
    { '*',
      { "Now multiply that by {}.", "Multiply the result by {}.", "And times {}?", "What is that times {}?",
        "Take it times {}.", "And if it were {} times as much?", "Times {}, please.", "Multiply by {}.",
        "!Scale that by {}.", "!{} times that is what?" } },
    { '/',
      { "Now divide that by {}.", "Divide the result by {}.", "And divided by {}?",
        "What is that divided by {}?", "Divide it by {}.", "And shared among {}?",
        "Split that into {} equal parts. How big is one?", "Divide by {}.",
        "!Cut that into {} equal parts; how large is each?", "!That over {}?" } },
};

/* The next turn: what is asked of the last value, worked out. Returns the new value. */
static int64_t put_next(struct exam_text *t, int64_t value, bool withheld)
{
    size_t pick = (size_t)rng_below(t->rng, value > 2000 ? 2 : ARRAY_LEN(goings));
    int64_t n = pick < 2 ? rng_range(t->rng, 2, 99) : rng_range(t->rng, 2, 12);
    bool held;
    char number[16];
    if ((goings[pick].op == '-' && n > value) || value == 0)
        pick = 0;
    if (goings[pick].op == '/' && value % n)
        pick = 2;
    snprintf(number, sizeof number, "%lld", (long long)n);
    wording_put(t->question,
                wording_pick(t->rng,
                             (struct wordings){ goings[pick].wordings, ARRAY_LEN(goings[pick].wordings) },
                             withheld, &held),
                str_from(number));
    if (t->effort > EXAM_LOW)
        buf_printf(t->trace, "the last result: %lld\n", (long long)value);
    int64_t next = steps_apply(t, t->trace, goings[pick].op, value, n);
    steps_check(t, t->recheck, goings[pick].op, value, n, next);
    answer_int(t, next);
    return next;
}

static int64_t value_of(const struct exam_text *t)
{
    int64_t value = 0;
    str_to_i64(buf_str(t->answer), &value);
    return value;
}

/* The first exercise under the instruction, then what follows from it, answered in the same form. */
static bool ask_talk(const struct exam_case *c, struct exam_text *t, bool withheld, int turns,
                     bool instructed)
{
    struct exam_case plain = *c;
    struct buf text = { 0 };
    inner_of(c)->ask(c, t, c->few && withheld);
    solve_inner(c, t);
    int64_t value = value_of(t);
    if (instructed) {
        plain.wrap[FORM] = BARE;
        plain.wrap[IN_SYSTEM] = true;
        pick_instruction(&plain, t, withheld, &text);
        put_instruction(&plain, t, buf_str(&text));
        put_reply(&plain, t, "");
    }
    for (int i = 0; i < turns; i++) {
        text_earlier(t, false);
        value = put_next(t, value, withheld);
        if (instructed)
            put_reply(&plain, t, "");
    }
    buf_free(&text);
    return withheld;
}

static bool ask_follow(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    struct buf text = { 0 };
    if (c->wrap[FORM] == STYLE)
        return ask_style(c, t, withheld);
    if (c->wrap[FORM] == TALK)
        return ask_talk(c, t, withheld, 1, true);
    inner_of(c)->ask(c, t, withheld && (c->few || rng_below(t->rng, 6) == 0));
    const char *word = pick_instruction(c, t, withheld, &text);
    put_instruction(c, t, buf_str(&text));
    solve_inner(c, t);
    if (c->wrap[FORM] == UNIT_WORDS)
        put_unit_reply(t, unit_word(c, word));
    else
        put_reply(c, t, word);
    buf_free(&text);
    return withheld;
}

/* Everything was written with the question. */
static void solve_written(const struct exam_case *c, struct exam_text *t)
{
    (void)c;
    (void)t;
}

/* --- marking -------------------------------------------------------------------------------------------------------------------- */

static bool has_text(struct str s, struct str part)
{
    return str_find(s, part) != SIZE_MAX;
}

static bool check_follow(struct str reply, struct str answer)
{
    size_t bar = str_find(answer, STR("|"));
    if (bar == SIZE_MAX)
        return check_number(reply, answer);
    struct str form = str_slice(answer, 0, bar), value = str_slice(answer, bar + 1, answer.len);
    reply = str_trim(reply);
    if (str_is(form, "json"))
        return check_json(reply, value);
    if (str_is(form, "bare"))
        return exam_same(reply, value) && reply.len <= value.len + 4;
    if (str_is(form, "style"))
        return has_text(reply, value);
    if (str_is(form, "sentence"))
        return has_text(reply, value) && reply.len > value.len + 4 && reply.ptr[reply.len - 1] == '.' &&
               !has_text(reply, STR("nswer:"));
    if (str_is(form, "boxed"))
        return has_text(reply, STR("\\boxed{")) && exam_same(exam_extract(reply), value);
    if (str_is(form, "hash")) {
        size_t mark = str_find(reply, STR("####"));
        return mark != SIZE_MAX && exam_same(str_trim(str_slice(reply, mark + 4, reply.len)), value);
    }
    size_t second = str_find(value, STR("|"));
    struct str unit = str_slice(value, 0, second == SIZE_MAX ? 0 : second);
    return has_text(reply, unit) && exam_same(exam_extract(reply), str_slice(value, second + 1, value.len));
}

/* --- conversations ----------------------------------------------------------------------------------------------------------------- */

static void draw_after(struct rng *rng, int level, struct exam_case *c)
{
    (void)level;
    draw_inner(rng, c, counted[rng_below(rng, ARRAY_LEN(counted))], 3);
    c->wrap[SEED] = level;
}

static bool ask_after(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    return ask_talk(c, t, withheld, (int)c->wrap[SEED], false);
}

const struct exam_family family_follow = {
    .name = "follow",
    .what = "exercises under an instruction: 1 bare, 2 brief, 3 JSON, 4 a sentence, 5 units in a language, 6 "
            "a way of greeting, 7 "
            "marked, 8 in a conversation",
    .levels = FORMS,
    .by_wording = true,
    .draw = draw_follow,
    .ask = ask_follow,
    .solve = solve_written,
    .check = check_follow,
};

const struct exam_family family_after = {
    .name = "after",
    .what = "\"now add 5 to that\": the level is the number of turns after the first",
    .levels = 4,
    .by_wording = true,
    .draw = draw_after,
    .ask = ask_after,
    .solve = solve_written,
    .check = check_number,
};
