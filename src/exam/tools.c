/*
 * tools.c - function tools: the right call, two calls, none that fits, and a result put into words.
 *
 * A tool is a row: its parameters and requests in which they stand. Others are made up of verbs, nouns and parameters, so
 * that reading the given tools is learned and not a list of names. A case is a seed; the exam asks in withheld wordings,
 * of made-up tools with withheld verbs and nouns. A call is compared as JSON: the name and exactly the arguments.
 *
 * The form of a call is the one of Hermes and Qwen: <tool_call>, a line of {"name": ..., "arguments": {...}}, </tool_call>.
 */
#include "exam/words_impl.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>

#define PARAMS_MAX 4
#define TOOLS_MAX  5
#define VALUE_MAX  64
#define CALLS_MAX  4

/* Parameters as "name:kind", '?' before those that may be left out; kinds: c city, n person, i number, f price, b truth,
 * d date, t time, q subject, x expression, o thing, e one of the words behind it. In requests {name} is the value and
 * {name|yes|no} one of two texts for a truth. */
struct tool {
    const char *name, *what;
    const char *params[PARAMS_MAX];
    const char *requests[12];
};

static const struct tool tools[] = {
    { "get_weather",
      "Returns the current weather of a city.",
      { "city:c" },
      { "What is the weather in {city}?", "How is the weather in {city} today?", "Is it raining in {city}?",
        "Tell me the weather in {city}.", "What's it like outside in {city}?",
        "Do I need an umbrella in {city}?", "!How warm is it in {city} right now?",
        "!Weather report for {city}, please.", "Will I get wet in {city}?",
        "What does the sky look like in {city}?", "How cold is {city} at the moment?",
        "{city}: sun or rain?" } },
    { "weather",
      "Current weather. The unit is celsius or fahrenheit.",
      { "city:c", "?unit:e=celsius,fahrenheit" },
      { "What is the temperature in {city} in {unit}?", "Give me the weather for {city} in {unit}.",
        "How many degrees {unit} is it in {city}?", "What is the weather in {city}?",
        "I need the weather of {city}, in {unit}.", "!Tell me how hot {city} is, using {unit}.",
        "Is it warm in {city}? Use {unit}.", "What does the thermometer show in {city}, in {unit}?",
        "How warm or cold is {city}?", "{city}'s weather with degrees {unit}, please." } },
    { "forecast",
      "Weather forecast for some days ahead.",
      { "city:c", "days:i" },
      { "What will the weather be in {city} for the next {days} days?",
        "Give me a {days}-day forecast for {city}.",
        "I travel to {city} for {days} days. What weather can I expect?", "Forecast for {city}, {days} days.",
        "!How will {city}'s weather develop over {days} days?", "Will it rain in {city} within {days} days?",
        "What weather does {city} get in the coming {days} days?",
        "I plan {days} days in {city}; how will the sky be?",
        "Tell me about the coming {days} days of weather in {city}." } },
    { "calculator",
      "Evaluates an arithmetic expression.",
      { "expression:x" },
      { "Use the calculator for {expression}.", "Calculate {expression} with the tool.",
        "What is {expression}? Use the calculator.", "Compute {expression} by calling the calculator.",
        "Please evaluate {expression} with the calculator.", "!Let the calculator work out {expression}.",
        "Put {expression} into the calculator.", "Have {expression} computed by the tool.",
        "The calculator should tell me {expression}.", "I want the calculator's result of {expression}." } },
    { "calculate",
      "Does arithmetic with an expression.",
      { "expression:x" },
      { "What is {expression}?", "Calculate {expression}.", "Work out {expression}.", "{expression} = ?",
        "How much is {expression}?", "!I need the value of {expression}.", "Solve {expression}.",
        "What do I get for {expression}?", "Tell me what {expression} makes.",
        "Give me the result of {expression}." } },
    { "search",
      "Searches the web.",
      { "query:q" },
      { "Search for {query}.", "Look up {query}.", "Find information about {query}.",
        "Search the web for {query}.", "Google {query} for me.", "What can you find about {query}?",
        "!Do some research on {query}.", "See what the web says on {query}.",
        "Dig up something about {query}.", "I want to read about {query}.", "Is there anything on {query}?",
        "Inform me about {query} from the web." } },
    { "web_search",
      "Searches the web and returns the best results.",
      { "query:q", "?count:i" },
      { "Find {count} results about {query}.", "Search for {query} and show {count} hits.",
        "Search the web for {query}.", "Give me the top {count} pages on {query}.",
        "!Bring me {count} links about {query}.", "Fetch me {count} articles on {query}.",
        "I want {count} pages that deal with {query}.", "List {count} sites about {query}.",
        "What does the web have on {query}?", "Look for {query} and stop after {count}." } },
    { "set_timer",
      "Starts a timer.",
      { "minutes:i" },
      { "Set a timer for {minutes} minutes.", "Start a {minutes}-minute timer.",
        "Wake me in {minutes} minutes.", "Timer, {minutes} minutes.",
        "Remind me when {minutes} minutes are over.", "!I want to be told after {minutes} minutes.",
        "Count down {minutes} minutes.", "Let it ring in {minutes} minutes.",
        "My tea needs {minutes} minutes.", "Beep in {minutes} minutes." } },
    { "set_alarm",
      "Sets an alarm at a time of day.",
      { "time:t", "?repeat:b" },
      { "Set an alarm for {time}.", "Wake me at {time} {repeat|every day|once}.",
        "I have to get up at {time}.", "Alarm at {time}, {repeat|repeating|not repeating}.",
        "!Please ring at {time}, {repeat|daily|only once}.",
        "Get me out of bed at {time}, {repeat|each morning|this once}.",
        "The alarm clock should go off at {time}.", "Let me sleep until {time}.",
        "Make a noise at {time}, {repeat|every morning|one time}." } },
    { "send_message",
      "Sends a text message to a contact.",
      { "to:n", "text:o" },
      { "Send {to} the message \"{text}\".", "Text {to}: {text}", "Write to {to}: {text}",
        "Tell {to} \"{text}\".", "Message {to} with the text \"{text}\".", "!Let {to} know: \"{text}\".",
        "Inform {to}: \"{text}\".", "Drop {to} a line: {text}", "{to} should hear \"{text}\" from me.",
        "Pass \"{text}\" on to {to}.", "Send \"{text}\" to {to}." } },
    { "call_contact",
      "Calls a person by phone.",
      { "name:n" },
      { "Call {name}.", "Phone {name}, please.", "Ring up {name}.", "I want to talk to {name} on the phone.",
        "Give {name} a call.", "!Dial {name} for me.", "Get {name} on the line.", "Connect me with {name}.",
        "I must speak to {name}.", "Start a call with {name}.", "Can you reach {name} by phone?" } },
    { "convert_currency",
      "Converts money between currencies.",
      { "amount:i", "from:e=USD,EUR,GBP,JPY,CHF", "to:e=INR,CAD,SEK,MXN,BRL" },
      { "Convert {amount} {from} to {to}.", "How much is {amount} {from} in {to}?",
        "Change {amount} {from} into {to}.", "What are {amount} {from} worth in {to}?",
        "!I have {amount} {from}. What is that in {to}?", "I own {amount} {from}; how many {to} is it?",
        "{amount} {from} in {to}, please.", "What would {amount} {from} be in {to}?",
        "Exchange {amount} {from} for {to}.", "Tell me the {to} value of {amount} {from}." } },
    { "book_table",
      "Books a table in a restaurant.",
      { "people:i", "time:t", "date:d" },
      { "Book a table for {people} people on {date} at {time}.",
        "Reserve a table for {people} at {time} on {date}.",
        "We are {people} and want to eat on {date} at {time}. Book it.",
        "!Get us a table: {people} persons, {date}, {time}.",
        "A table for {people} on {date} at {time}, please.",
        "On {date} at {time} we are {people} for dinner. Reserve for us.",
        "{people} guests, {time}, {date}: book it.",
        "Make a dinner reservation on {date}, {time}, {people} guests.",
        "Ask the restaurant for {people} seats at {time} on {date}." } },
    { "create_event",
      "Puts an event into the calendar.",
      { "title:o", "date:d", "?time:t" },
      { "Create an event called {title} on {date}.", "Put {title} into my calendar for {date} at {time}.",
        "Schedule {title} on {date} at {time}.", "Add {title} on {date}.",
        "!Mark {date} at {time} in my calendar with {title}.",
        "On {date} there is {title}. Keep it in the calendar.", "New appointment: {title}, {date}, {time}.",
        "Note {title} for {date}.", "Plan {title} at {time} on {date}.",
        "My calendar needs {title} on {date} at {time}." } },
    { "play_music",
      "Plays music of a kind.",
      { "genre:e=jazz,rock,classical,pop,folk", "?volume:i" },
      { "Play some {genre}.", "Play {genre} at volume {volume}.", "I want to hear {genre}.",
        "Put on {genre} music, volume {volume}.", "!Let me listen to {genre}.",
        "Start {genre}, loudness {volume}.", "Some {genre}, please.", "I feel like {genre} music.",
        "Let's have {genre} at {volume}.", "Turn on {genre}." } },
    { "set_light",
      "Switches a light in a room.",
      { "room:e=kitchen,bedroom,office,hall,bathroom", "on:b", "?level:i" },
      { "Turn {on|on|off} the light in the {room}.", "Switch the {room} light {on|on|off}.",
        "{on|Light|Darken} the {room} with level {level}, light {on|on|off}.",
        "The light in the {room} should be {on|on|off}.", "!I would like the {room} lamp {on|on|off}.",
        "Make it {on|bright|dark} in the {room}.", "Light in the {room}: {on|on|off}, please.",
        "The lamp of the {room} must be {on|on|off}, level {level}.", "Get the {room} light {on|on|off}." } },
    { "translate",
      "Translates a word.",
      { "word:o", "language:e=French,German,Spanish,Italian,Dutch" },
      { "Translate \"{word}\" to {language}.", "What is \"{word}\" in {language}?",
        "How do you say {word} in {language}?", "I need the {language} word for {word}.",
        "!Put \"{word}\" into {language}.", "Give me {word} in {language}.",
        "Which word does {language} have for {word}?", "Say \"{word}\" in {language}.",
        "What do people call \"{word}\" in {language}?", "Turn {word} into {language}." } },
    { "find_route",
      "Finds a way from one city to another.",
      { "start:c", "goal:c", "?mode:e=car,train,bike" },
      { "How do I get from {start} to {goal}?", "Find a route from {start} to {goal} by {mode}.",
        "I want to go from {start} to {goal} by {mode}.", "Directions from {start} to {goal}.",
        "!Which way leads from {start} to {goal} by {mode}?", "I am in {start} and must get to {goal}.",
        "Take me from {start} to {goal} by {mode}.", "How far is it from {start} to {goal}? Show the way.",
        "By {mode} from {start} to {goal}: what is the best way?" } },
    { "find_flights",
      "Searches flights.",
      { "from:c", "to:c", "date:d" },
      { "Find flights from {from} to {to} on {date}.", "I want to fly from {from} to {to} on {date}.",
        "Are there flights from {from} to {to} on {date}?",
        "!Show me planes leaving {from} for {to} on {date}.",
        "On {date} I fly from {from} to {to}. What is there?",
        "Which flights go from {from} to {to} on {date}?", "{from} to {to}, {date}, by plane.",
        "Look for a plane from {from} to {to} on {date}.",
        "I need to be in {to} on {date}, leaving from {from} by air." } },
    { "add_to_list",
      "Adds something to the shopping list.",
      { "item:o", "count:i" },
      { "Put {count} {item} on my shopping list.", "Add {count} {item} to the list.",
        "I need to buy {count} {item}. Put it on the list.", "!Note {count} {item} for the shopping.",
        "We are out of {item}: list {count}.", "Do not let me forget to buy {count} {item}.",
        "Shopping list: {count} {item}.", "Write {count} {item} on the list.",
        "{count} {item} belong on my shopping list." } },
    { "stock_price",
      "Returns the price of a share.",
      { "symbol:e=ABC,XYZ,QRS,TUV,LMN" },
      { "What is the price of {symbol}?", "How is {symbol} doing at the stock market?",
        "Price of {symbol} shares, please.", "!Quote {symbol} for me.",
        "What does one share of {symbol} cost?", "Tell me the value of {symbol} at the exchange.",
        "Is {symbol} up or down?", "{symbol} stock, how much?", "What do they pay for {symbol}?" } },
    { "get_time",
      "Returns the local time of a city.",
      { "city:c" },
      { "What time is it in {city}?", "Tell me the local time in {city}.", "How late is it in {city}?",
        "!What does the clock say in {city}?", "Is it morning or evening in {city}?",
        "Which hour is it in {city} now?", "I want to know the time in {city}.", "Time in {city}?" } },
    { "order_food",
      "Orders food.",
      { "dish:o", "count:i", "?express:b" },
      { "Order {count} {dish}.", "I would like {count} {dish}, {express|as fast as possible|no hurry}.",
        "Get me {count} {dish}.", "!Have {count} {dish} brought to me.", "I am hungry for {count} {dish}.",
        "{count} {dish}, please, {express|quickly|without haste}.", "Let me have {count} {dish}.",
        "Buy me {count} {dish} from the restaurant, {express|urgently|any time}." } },
    { "pay_bill",
      "Pays an amount to somebody.",
      { "to:n", "amount:f" },
      { "Pay {amount} dollars to {to}.", "Send {to} {amount} dollars.",
        "I owe {to} {amount} dollars. Pay that.", "!Transfer {amount} dollars to {to}.",
        "{to} gets {amount} dollars from me.", "Settle {amount} dollars with {to}.",
        "Give {to} {amount} dollars.", "My debt to {to} is {amount} dollars; pay it." } },
    { "roll_dice",
      "Rolls dice.",
      { "sides:i", "?count:i" },
      { "Roll a die with {sides} sides.", "Roll {count} dice with {sides} sides.",
        "Throw {count} dice of {sides} sides.", "!I need {count} random rolls of a {sides}-sided die.",
        "Give me a random number with a {sides}-sided die.", "Cast {count} dice, {sides} sides each.",
        "Let {count} dice roll, each with {sides} sides.", "One throw of a die with {sides} faces." } },
    { "get_population",
      "Returns how many people live in a city.",
      { "city:c" },
      { "How many people live in {city}?", "What is the population of {city}?",
        "How big is {city} by people?", "!Number of inhabitants of {city}?",
        "Is {city} a big city? How many live there?", "Count of people in {city}?",
        "How many citizens does {city} have?", "Tell me {city}'s population." } },
};

static const char *const verbs[] = { "create",  "delete",  "update",   "open",     "close",
                                     "archive", "export",  "print",    "check",    "count",
                                     "move",    "copy",    "lock",     "start",    "stop",
                                     "list",    "rename",  "restore",  "scan",     "share",
                                     "!merge",  "!cancel", "!publish", "!inspect", "!tag" };
static const char *const nouns[] = { "ticket",  "invoice",  "report",   "folder",    "account",
                                     "order",   "backup",   "server",   "door",      "camera",
                                     "user",    "page",     "task",     "note",      "package",
                                     "device",  "contract", "room",     "playlist",  "project",
                                     "!ledger", "!sensor",  "!voucher", "!pipeline", "!parcel" };
/* name:kind, and how a request gives it. */
static const struct {
    const char *param, *phrase;
} extras[] = {
    { "id:i", "number {id}" },
    { "priority:e=low,normal,high", "priority {priority}" },
    { "owner:n", "for {owner}" },
    { "city:c", "in {city}" },
    { "date:d", "on {date}" },
    { "count:i", "{count} times" },
    { "mode:e=fast,safe,quiet", "in {mode} mode" },
    { "label:o", "labelled {label}" },
    { "time:t", "at {time}" },
    { "limit:i", "with limit {limit}" },
    { "color:e=red,green,blue,black", "in {color}" },
    { "force:b", "{force|by force|without force}" },
    { "budget:f", "with a budget of {budget}" },
    { "level:i", "at level {level}" },
};
static const char *const synthetic_wordings[] = {
    "{}.",         "Please {}.",     "Can you {}?",           "I want you to {}.",  "Could you {}?",
    "{}, please.", "We need to {}.", "!Be so kind as to {}.", "!It is time to {}.", "!Would you {}?"
};
static const char *const subjects[] = { "solar panels",
                                        "old maps",
                                        "the tallest tower",
                                        "cheap hotels",
                                        "black holes",
                                        "piano lessons",
                                        "cats",
                                        "the history of tea",
                                        "train tickets",
                                        "healthy recipes",
                                        "used bikes",
                                        "the moon",
                                        "garden tools",
                                        "chess openings",
                                        "running shoes",
                                        "Roman emperors",
                                        "electric cars",
                                        "sleep",
                                        "volcanoes",
                                        "online courses",
                                        "!pottery",
                                        "!ice hockey",
                                        "!bonsai trees",
                                        "!sundials" };

/* --- a tool in use ---------------------------------------------------------------------------------------------------------- */

struct used {
    char name[2 * WORD_MAX], what[2 * WORD_MAX + 16];
    const char *params[PARAMS_MAX];     /* "?name:kind" */
    char values[PARAMS_MAX][VALUE_MAX]; /* JSON */
    bool given[PARAMS_MAX];
    int params_len;
};

static struct str param_name(const char *param)
{
    param += *param == '?';
    return (struct str){ param, strcspn(param, ":") };
}

static const char *param_kind(const char *param)
{
    return strchr(param, ':') + 1;
}

static void pick_expression(struct rng *rng, char *out, size_t size)
{
    static const char ops[] = "+-*/";
    long long a = rng_range(rng, 2, 999), b = rng_range(rng, 2, 99), c = rng_range(rng, 2, 50);
    if (rng_below(rng, 2))
        snprintf(out, size, "\"%lld %c %lld\"", a, ops[rng_below(rng, 4)], b);
    else if (rng_below(rng, 2))
        snprintf(out, size, "\"%lld %c %lld %c %lld\"", a, ops[rng_below(rng, 3)], b, ops[rng_below(rng, 3)],
                 c);
    else
        snprintf(out, size, "\"(%lld %c %lld) %c %lld\"", a, ops[rng_below(rng, 2)], b,
                 ops[2 + rng_below(rng, 2)], c);
}

static void pick_value(struct rng *rng, const char *kind, bool held, char *out)
{
    struct cast k;
    switch (*kind) {
    case 'c': words_quoted(rng, words_city(rng, held && rng_below(rng, 2)), held, out); break;
    case 'n': words_quoted(rng, words_name(rng, held && rng_below(rng, 2)), held, out); break;
    case 'i': snprintf(out, VALUE_MAX, "%d", (int)rng_range(rng, 2, rng_below(rng, 3) ? 20 : 500)); break;
    case 'f':
        snprintf(out, VALUE_MAX, "%d.%d5", (int)rng_range(rng, 2, 300), (int)rng_range(rng, 0, 9));
        break;
    case 'b': snprintf(out, VALUE_MAX, "%s", rng_below(rng, 2) ? "true" : "false"); break;
    case 'd':
        snprintf(out, VALUE_MAX, "\"20%02d-%02d-%02d\"", (int)rng_range(rng, 20, 35),
                 (int)rng_range(rng, 1, 12), (int)rng_range(rng, 1, 28));
        break;
    case 't':
        snprintf(out, VALUE_MAX, "\"%02d:%02d\"", (int)rng_range(rng, 6, 22), (int)rng_range(rng, 0, 11) * 5);
        break;
    case 'q': words_quoted(rng, LIST_PICK(rng, subjects, held && rng_below(rng, 2)), held, out); break;
    case 'x': pick_expression(rng, out, VALUE_MAX); break;
    case 'o':
        cast_draw(rng, &k, held);
        words_quoted(rng, k.thing.many, held, out);
        break;
    default: pick_word(rng, kind, out, VALUE_MAX); break;
    }
}

static void add_param(struct rng *rng, struct used *u, const char *param, bool held)
{
    int at = u->params_len++;
    u->params[at] = param;
    u->given[at] = false;
    pick_value(rng, param_kind(param), held, u->values[at]);
}

static void use_tool(struct rng *rng, struct used *u, const struct tool *tool, bool held)
{
    u->params_len = 0;
    snprintf(u->name, sizeof u->name, "%s", tool->name);
    snprintf(u->what, sizeof u->what, "%s", tool->what);
    for (int i = 0; i < PARAMS_MAX && tool->params[i]; i++)
        add_param(rng, u, tool->params[i], held);
}

/* A value as a request says it: without the quotes of JSON. */
static void put_value(struct buf *out, const char *value)
{
    size_t len = strlen(value);
    if (*value == '"')
        buf_put(out, value + 1, len - 2);
    else
        buf_puts(out, value);
}

/* {name} or {name|yes|no} */
static void put_slot(struct used *u, struct buf *out, struct str slot)
{
    size_t bar = str_find(slot, STR("|"));
    struct str name = str_slice(slot, 0, bar == SIZE_MAX ? slot.len : bar);
    for (int i = 0; i < u->params_len; i++) {
        if (!str_eq(param_name(u->params[i]), name))
            continue;
        u->given[i] = true;
        if (bar == SIZE_MAX) {
            put_value(out, u->values[i]);
            return;
        }
        struct str both = str_slice(slot, bar + 1, slot.len);
        size_t mid = str_find(both, STR("|"));
        buf_put_str(out,
                    u->values[i][0] == 't' ? str_slice(both, 0, mid) : str_slice(both, mid + 1, both.len));
    }
}

static void put_request(struct used *u, struct buf *out, const char *text)
{
    while (*text) {
        if (*text != '{') {
            buf_putc(out, *text++);
            continue;
        }
        size_t len = strcspn(text, "}");
        put_slot(u, out, (struct str){ text + 1, len - 1 });
        text += len + 1;
    }
}

/* A tool that nobody has seen: a verb, a noun and some parameters. */
static void make_tool(struct rng *rng, struct used *u, int params, bool held, struct buf *request)
{
    char verb[WORD_MAX], noun[WORD_MAX];
    int order[ARRAY_LEN(extras)];
    bool is_held;
    struct buf body = { 0 };
    words_or_invented(rng, LIST_PICK(rng, verbs, held && rng_below(rng, 2)), held, verb);
    words_or_invented(rng, LIST_PICK(rng, nouns, held), held, noun);
    shuffle(rng, order, ARRAY_LEN(extras));
    u->params_len = 0;
    snprintf(u->name, sizeof u->name, rng_below(rng, 4) ? "%s_%s" : "%sS%s", verb, noun);
    char *camel = strchr(u->name, 'S');
    if (camel) { /* "openDoor" */
        memmove(camel, camel + 1, strlen(camel));
        *camel = (char)(*camel - 32);
    }
    snprintf(u->what, sizeof u->what, "%c%ss %s %s.", verb[0] - 32, verb + 1, article_of(noun), noun);
    buf_printf(&body, "%s the %s", verb, noun);
    for (int i = 0; i < params; i++) {
        add_param(rng, u, extras[order[i]].param, held);
        buf_putc(&body, ' ');
        put_request(u, &body, extras[order[i]].phrase);
    }
    const char *wording = wording_pick(rng, WORDINGS(synthetic_wordings), held, &is_held);
    buf_clear(request);
    wording_put(request, wording, buf_str(&body));
    buf_free(&body);
}

/* --- as JSON ------------------------------------------------------------------------------------------------------------------- */

static const char *type_of(const char *kind)
{
    return *kind == 'i' ? "integer" : *kind == 'f' ? "number" : *kind == 'b' ? "boolean" : "string";
}

static void put_schema(struct json_writer *w, const struct used *u)
{
    jw_begin_object(w);
    jw_key_cstring(w, "type", "function");
    jw_key(w, "function");
    jw_begin_object(w);
    jw_key_cstring(w, "name", u->name);
    jw_key_cstring(w, "description", u->what);
    jw_key(w, "parameters");
    jw_begin_object(w);
    jw_key_cstring(w, "type", "object");
    jw_key(w, "properties");
    jw_begin_object(w);
    for (int i = 0; i < u->params_len; i++) {
        char name[32];
        const char *kind = param_kind(u->params[i]);
        snprintf(name, sizeof name, "%.*s", STR_ARG(param_name(u->params[i])));
        jw_key(w, name);
        jw_begin_object(w);
        jw_key_cstring(w, "type", type_of(kind));
        if (*kind == 'e') {
            jw_key(w, "enum");
            jw_begin_array(w);
            for (const char *at = kind + 2; *at;
                 at += at[strcspn(at, ",")] == ',' ? strcspn(at, ",") + 1 : strcspn(at, ","))
                jw_string(w, (struct str){ at, strcspn(at, ",") });
            jw_end_array(w);
        }
        jw_end_object(w);
    }
    jw_end_object(w);
    jw_key(w, "required");
    jw_begin_array(w);
    for (int i = 0; i < u->params_len; i++)
        if (*u->params[i] != '?')
            jw_string(w, param_name(u->params[i]));
    jw_end_array(w);
    jw_end_object(w);
    jw_end_object(w);
    jw_end_object(w);
}

/* {"name": "weather", "arguments": {"city": "Oslo"}} */
static void put_call(struct buf *out, const struct used *u)
{
    bool first = true;
    buf_printf(out, "{\"name\": \"%s\", \"arguments\": {", u->name);
    for (int i = 0; i < u->params_len; i++) {
        if (!u->given[i])
            continue;
        buf_printf(out, "%s\"%.*s\": %s", first ? "" : ", ", STR_ARG(param_name(u->params[i])), u->values[i]);
        first = false;
    }
    buf_puts(out, "}}");
}

static void show_call(struct buf *out, const struct used *u)
{
    buf_puts(out, out->len ? "\n<tool_call>\n" : "<tool_call>\n");
    put_call(out, u);
    buf_puts(out, "\n</tool_call>");
}

/* The working: which tool, and its arguments. */
static void put_thought(struct exam_text *t, const struct used *u)
{
    buf_printf(t->trace, "tool: %s\n", u->name);
    for (int i = 0; i < u->params_len; i++) {
        struct str name = param_name(u->params[i]);
        const char *kind = param_kind(u->params[i]);
        if (u->given[i] && t->effort > EXAM_LOW) {
            if (*kind == 'i')
                put_slip(t, t->trace, "%.*s: %s0", STR_ARG(name), u->values[i]);
            buf_printf(t->trace, "%.*s: %s\n", STR_ARG(name), u->values[i]);
        }
    }
    if (t->effort < EXAM_HIGH)
        return;
    buf_printf(t->recheck, "check %s\n", u->name);
    for (int i = 0; i < u->params_len; i++)
        buf_printf(t->recheck, "%.*s is %s%s: %s\n", STR_ARG(param_name(u->params[i])),
                   *u->params[i] == '?' ? "optional " : "", type_of(param_kind(u->params[i])),
                   u->given[i] ? u->values[i] : "not given");
    if (t->effort == EXAM_XHIGH)
        for (int i = 0; i < u->params_len; i++)
            buf_printf(t->recheck, "%.*s%s", STR_ARG(param_name(u->params[i])),
                       i + 1 < u->params_len ? ", " : ": all there\n");
    buf_puts(t->recheck, "ok\n");
}

/* --- the cases ---------------------------------------------------------------------------------------------------------------------- */

static void draw_tool(struct rng *rng, int level, struct exam_case *c)
{
    (void)level;
    c->n[0] = (int64_t)(rng_u64(rng) >> 1); /* everything else comes from this seed */
    c->few = true;
    c->key = case_key("tool", c->n, 1);
}

/* The tools of a request: the used ones and others, in any order. */
struct kit {
    struct rng *rng;
    struct used all[TOOLS_MAX];
    int len;
    bool held;
};

static bool has_tool(const struct kit *k, const char *name)
{
    for (int i = 0; i < k->len; i++)
        if (strcmp(k->all[i].name, name) == 0)
            return true;
    /* of twins that do the same, one is enough */
    static const char *const twins[][2] = { { "get_weather", "weather" },  { "calculator", "calculate" },
                                            { "search", "web_search" },    { "weather", "forecast" },
                                            { "get_weather", "forecast" }, { "set_timer", "set_alarm" } };
    for (size_t t = 0; t < ARRAY_LEN(twins); t++)
        for (int i = 0; i < k->len; i++)
            for (int side = 0; side < 2; side++)
                if (strcmp(k->all[i].name, twins[t][side]) == 0 && strcmp(name, twins[t][1 - side]) == 0)
                    return true;
    return false;
}

static int params_of(const struct tool *tool)
{
    int count = 0;
    while (count < PARAMS_MAX && tool->params[count])
        count++;
    return count;
}

/* Adds a tool of the table that is not there yet, with at least that many parameters at most so many. */
static const struct tool *add_known(struct kit *k, int least, int most)
{
    for (;;) {
        const struct tool *tool = &tools[rng_below(k->rng, ARRAY_LEN(tools))];
        int params = params_of(tool);
        if (params < least || params > most || has_tool(k, tool->name))
            continue;
        use_tool(k->rng, &k->all[k->len++], tool, k->held);
        return tool;
    }
}

static void add_others(struct kit *k, int count, bool made_up)
{
    struct buf dropped = { 0 };
    while (count-- > 0) {
        if (!made_up) {
            add_known(k, 1, PARAMS_MAX);
            continue;
        }
        struct used other;
        do {
            make_tool(k->rng, &other, (int)rng_range(k->rng, 1, 3), k->held, &dropped);
        } while (has_tool(k, other.name));
        k->all[k->len++] = other;
    }
    buf_free(&dropped);
}

static void put_tools(const struct kit *k, struct buf *out)
{
    struct json_writer w = { .out = out };
    int order[TOOLS_MAX];
    shuffle(k->rng, order, k->len);
    jw_begin_array(&w);
    for (int i = 0; i < k->len; i++)
        put_schema(&w, &k->all[order[i]]);
    jw_end_array(&w);
}

static const char *pick_request(struct kit *k, const struct tool *tool)
{
    size_t count = 0;
    bool is_held;
    while (count < ARRAY_LEN(tool->requests) && tool->requests[count])
        count++;
    return wording_pick(k->rng, (struct wordings){ tool->requests, count }, k->held, &is_held);
}

static void ask_one(struct kit *k, struct exam_text *t, int least, int most, int others)
{
    const struct tool *tool = add_known(k, least, most);
    put_request(&k->all[0], t->question, pick_request(k, tool));
    add_others(k, others, false);
}

static void ask_made_up(struct kit *k, struct exam_text *t)
{
    make_tool(k->rng, &k->all[k->len++], (int)rng_range(k->rng, 1, PARAMS_MAX), k->held, t->question);
    add_others(k, (int)rng_below(k->rng, 3), true);
}

/* Two calls: two requests, joined, or one tool asked for two places. */
static void ask_two(struct kit *k, struct exam_text *t)
{
    static const char *const joins[] = { " Also: ", " And: ", " After that: ", " Then: ", " ", "\n" };
    const struct tool *first = add_known(k, 1, 2), *second = first;
    if (rng_below(k->rng, 2)) {
        use_tool(k->rng, &k->all[k->len++], first, k->held);
        while (strcmp(k->all[0].values[0], k->all[1].values[0]) == 0)
            pick_value(k->rng, param_kind(first->params[0]), k->held, k->all[1].values[0]);
    } else {
        second = add_known(k, 1, 2);
    }
    put_request(&k->all[0], t->question, pick_request(k, first));
    buf_puts(t->question, joins[rng_below(k->rng, ARRAY_LEN(joins))]);
    put_request(&k->all[1], t->question, pick_request(k, second));
}

static const char *const none_replies[] = { "None of the given tools fits this request.",
                                            "I have no tool for that: none of the given ones fits." };

/* A request for another tool than those given, or small talk that needs none. */
static void ask_none(struct kit *k, struct exam_text *t)
{
    struct used wanted;
    const struct tool *tool;
    add_others(k, (int)rng_range(k->rng, 1, 3), rng_below(k->rng, 2));
    do {
        tool = &tools[rng_below(k->rng, ARRAY_LEN(tools))];
    } while (has_tool(k, tool->name) || strncmp(tool->name, "calculat", 8) == 0);
    use_tool(k->rng, &wanted, tool, k->held);
    put_request(&wanted, t->question, pick_request(k, tool));
    buf_puts(t->trace, "Tools: ");
    for (int i = 0; i < k->len; i++)
        buf_printf(t->trace, "%s%s", k->all[i].name, i + 1 < k->len ? ", " : ".\n");
    buf_puts(t->trace, "None fits.\n");
    buf_puts(t->recheck, "check\n");
    for (int i = 0; i < k->len; i++)
        buf_printf(t->recheck, "%s: no\n", k->all[i].name);
    buf_puts(t->recheck, "ok\n");
    buf_puts(t->visible, none_replies[rng_below(k->rng, ARRAY_LEN(none_replies))]);
    buf_puts(t->answer, "none");
}

static void finish_calls(struct kit *k, struct exam_text *t, int calls)
{
    buf_putc(t->answer, '[');
    for (int i = 0; i < calls; i++) {
        put_thought(t, &k->all[i]);
        show_call(t->visible, &k->all[i]);
        buf_puts(t->answer, i ? ", " : "");
        put_call(t->answer, &k->all[i]);
    }
    buf_putc(t->answer, ']');
}

/* What a tool returned, how it is said, and what must be in the reply. {0} is the first argument, {1} and {2} are numbers
 * and {3} a word. */
static const struct {
    const char *tool, *result, *say, *must;
} results[] = {
    { "get_weather", "{\"temperature\": {1}, \"sky\": \"{3}\"}", "The weather in {0}: {1} degrees and {3}.",
      "{1}|{3}|{0}" },
    { "weather", "{\"degrees\": {1}, \"condition\": \"{3}\"}", "In {0} it is {1} degrees and {3}.",
      "{1}|{3}|{0}" },
    { "get_time", "{\"time\": \"1{4}:{1}\"}", "It is 1{4}:{1} in {0}.", "1{4}:{1}|{0}" },
    { "get_population", "{\"population\": {2}}", "{2} people live in {0}.", "{2}|{0}" },
    { "stock_price", "{\"price\": {2}, \"currency\": \"USD\"}", "{0} costs {2} dollars.", "{2}|{0}" },
    { "set_timer", "{\"status\": \"started\"}", "The timer runs for {0} minutes.", "{0}" },
    { "call_contact", "{\"status\": \"busy\"}", "{0} could not be reached: the line is busy.", "{0}|busy" },
    { "search", "[{\"title\": \"All about {0}\", \"url\": \"https://example.org/{2}\"}]",
      "I found \"All about {0}\" at https://example.org/{2}.", "{0}|https://example.org/{2}" },
    { "find_route", "{\"km\": {2}, \"hours\": {1}}", "The way from {0} is {2} km long and takes {1} hours.",
      "{2}|{1}" },
    { "pay_bill", "{\"error\": \"not enough money\"}", "The payment to {0} failed: not enough money.",
      "{0}|not enough money" },
    { "calculator", "{\"result\": {2}}", "Answer: {2}", "{2}" },
    { "calculate", "{2}", "Answer: {2}", "{2}" },
};

static void put_result(struct buf *out, const char *text, const char *first, const long long *n,
                       const char *word)
{
    for (; *text; text++) {
        if (*text != '{' || text[1] < '0' || text[1] > '4') {
            buf_putc(out, *text);
            continue;
        }
        if (text[1] == '0')
            put_value(out, first);
        else if (text[1] == '3')
            buf_puts(out, word);
        else
            buf_printf(out, "%lld", n[text[1] - '1']);
        text += 2;
    }
}

/* First the call, then its result as a turn of its own, and the reply that says it. */
static void ask_result(struct kit *k, struct exam_text *t)
{
    static const char *const skies[] = { "sunny", "rainy", "cloudy", "windy", "foggy", "snowy" };
    size_t pick = (size_t)rng_below(k->rng, ARRAY_LEN(results));
    long long n[] = { rng_range(k->rng, 10, 35), rng_range(k->rng, 100, 99999), 0, rng_range(k->rng, 2, 9) };
    const char *word = skies[rng_below(k->rng, ARRAY_LEN(skies))];
    const struct tool *tool = tools;
    while (strcmp(tool->name, results[pick].tool) != 0)
        tool++;
    use_tool(k->rng, &k->all[k->len++], tool, k->held);
    put_request(&k->all[0], t->question, pick_request(k, tool));
    add_others(k, (int)rng_below(k->rng, 3), false);
    put_tools(k, t->tools);
    finish_calls(k, t, 1);
    char first[VALUE_MAX];
    snprintf(first, sizeof first, "%s", k->all[0].values[0]);
    text_earlier(t, true);
    put_result(t->question, results[pick].result, first, n, word);
    put_result(t->visible, results[pick].say, first, n, word);
    put_result(t->answer, results[pick].must, first, n, word);
    buf_puts(t->trace, "The result: ");
    buf_put_str(t->trace, buf_str(t->question));
    buf_putc(t->trace, '\n');
    buf_puts(t->recheck, "check\n");
    buf_put_str(t->recheck, buf_str(t->answer));
    buf_puts(t->recheck, t->effort == EXAM_XHIGH ? "\nall said\nok\n" : "\nok\n");
}

static bool ask_tool(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    struct rng own;
    struct kit k = { .rng = &own, .held = withheld };
    rng_init(&own, (uint64_t)c->n[0], 0);
    switch (c->level) {
    case 1: ask_one(&k, t, 1, 1, 0); break;
    case 2: ask_one(&k, t, 2, PARAMS_MAX, 0); break;
    case 3: ask_one(&k, t, 1, 2, 2); break;
    case 4: ask_one(&k, t, 2, PARAMS_MAX, (int)rng_range(&own, 2, 4)); break;
    case 5: ask_made_up(&k, t); break;
    case 6: ask_two(&k, t); break;
    case 7: ask_none(&k, t); break;
    default: ask_result(&k, t); return withheld;
    }
    if (c->level == 6 && strcmp(k.all[0].name, k.all[1].name) == 0) {
        struct kit one = k;
        one.len = 1;
        add_others(&one, (int)rng_below(&own, 2), false);
        put_tools(&one, t->tools);
    } else {
        put_tools(&k, t->tools);
    }
    if (c->level != 7)
        finish_calls(&k, t, c->level == 6 ? 2 : 1);
    text_tidy(t->question);
    return withheld;
}

/* Everything was written with the question: the case is no more than its seed. */
static void solve_tool(const struct exam_case *c, struct exam_text *t)
{
    (void)c;
    (void)t;
}

/* --- marking ---------------------------------------------------------------------------------------------------------------------------- */

json_t *exam_calls(struct str reply)
{
    static const struct str open = { "<tool_call>", 11 }, close = { "</tool_call>", 12 };
    json_t *calls = json_array();
    for (size_t from; (from = str_find(reply, open)) != SIZE_MAX;) {
        reply = str_slice(reply, from + open.len, reply.len);
        size_t end = str_find(reply, close), next = str_find(reply, open);
        struct str body = str_slice(reply, 0, end < next ? end : next);
        json_t *call = NULL;
        if (json_read(&call, body, NULL) || json_array_append_new(calls, call)) {
            json_decref(calls);
            return NULL;
        }
        reply = str_slice(reply, body.len, reply.len);
    }
    return calls;
}

/* The same calls in any order. */
static bool same_calls(const json_t *given, const json_t *wanted)
{
    size_t count = json_array_size(wanted), matched = 0;
    unsigned used = 0;
    if (json_array_size(given) != count || count > CALLS_MAX)
        return false;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++)
            if (!(used & 1u << j) && json_equal(json_array_get(given, i), json_array_get(wanted, j))) {
                used |= 1u << j;
                matched++;
                break;
            }
    return matched == count;
}

/* "a|b|c": all of them are in the reply. */
static bool has_parts(struct str reply, struct str parts)
{
    while (parts.len) {
        size_t end = str_find(parts, STR("|"));
        struct str part = str_slice(parts, 0, end == SIZE_MAX ? parts.len : end);
        if (str_find(reply, part) == SIZE_MAX)
            return false;
        parts = str_slice(parts, end == SIZE_MAX ? parts.len : end + 1, parts.len);
    }
    return true;
}

static bool check_tool(struct str reply, struct str answer)
{
    json_t *wanted = NULL, *given;
    bool same = false, calls = str_find(reply, STR("<tool_call>")) != SIZE_MAX;
    if (str_is(answer, "none"))
        return !calls &&
               (str_find(reply, STR("tool")) != SIZE_MAX || str_find(reply, STR("--model")) != SIZE_MAX);
    if (answer.len == 0 || answer.ptr[0] != '[')
        return !calls && has_parts(reply, answer);
    given = exam_calls(reply);
    if (given && !json_read(&wanted, answer, NULL))
        same = same_calls(given, wanted);
    json_decref(wanted);
    json_decref(given);
    return same;
}

const struct exam_family family_tool = {
    .name = "tool",
    .what = "tools: 1-2 one call, 3-4 the right tool, 5 unseen tools, 6 two calls, 7 none fits, 8 a result "
            "in words",
    .levels = 8,
    .draw = draw_tool,
    .ask = ask_tool,
    .solve = solve_tool,
    .check = check_tool,
};
