/*
 * chat.c - the few things besides exercises that the model can say: greetings, thanks, what it is.
 *
 * The replies are few and fixed on purpose. A model of this size that tried to converse would only
 * invent; what is asked varies widely, so that it learns the kind of message and not a list.
 */
#include "exam/exam_impl.h"

static const char *const hello[] = {
    "Hello",        "Hi",           "Hey",
    "Hi there",     "Hello there",  "Hey there",
    "Good morning", "Good evening", "Good afternoon",
    "Greetings",    "Good day",     "Howdy",
    "hello",        "hi",           "hey",
    "HELLO",        "Hiya",         "Yo",
    "hello hello",  "hi hi",        "Welcome",
    "hey hey",      "Morning",      "Evening",
    "!Salutations", "!Hello again", "!good morning to you",
    "!Heya",
};
static const char *const hello_frames[] = {
    "{}",
    "{}",
    "{}!",
    "{}!",
    "{}.",
    "{}, how are you?",
    "{}! How are you?",
    "{}, thinkd!",
    "{}, nice to meet you.",
    "Say hi",
    "Say hello",
    "say hello!",
    "Say hello to me.",
    "{}, how is it going?",
    "{}, are you there?",
    "{}! I am new here.",
    "{}, my name is #.",
    "{}, I am #.",
    "{} from #",
    "{}, can you hear me?",
    "Please greet me.",
    "How are you?",
    "How are you doing today?",
    "Are you there?",
    "Is anyone there?",
    "{} :)",
    "{} :-)",
    "{}, friend",
    "{}...",
    "What's up?",
    "Hello, this is a test.",
    "Say hi!",
    "Please say hello.",
    "Say hi to #.",
    "Greet the user.",
    "{} thinkd",
    "{}, o3",
    "{}, o3-pro!",
    "{}, o3-mini",
    "!{}, how do you do?",
    "!{}! Nice day today.",
    "!Say good morning.",
    "!Give me a greeting.",
};
static const char *const names[] = { "Anna", "Ben",    "Tom",   "Maya", "Omar",   "Lucy",
                                     "Ivan", "Priya",  "Sam",   "Zoe",  "Carlos", "Mei",
                                     "Kofi", "Berlin", "Paris", "Oslo", "my team" };

static const char *const hello_replies[] = {
    "Hello! Give me an exercise and I will work it out.",
    "Hi! I can solve sums, equations and word problems. What is yours?",
};

static const char *const thanks[] = {
    "Thanks",
    "Thank you",
    "Thanks a lot",
    "Thank you very much",
    "Many thanks",
    "thx",
    "thanks",
    "thank you",
    "Great, thanks",
    "Cool, thank you",
    "Perfect, thanks",
    "ok thanks",
    "Thanks, that helps",
    "Nice, thank you",
    "Well done",
    "Good job",
    "Great work",
    "That was helpful",
    "Bye",
    "Goodbye",
    "See you",
    "Good night",
    "!Thanks so much",
    "!Much appreciated",
    "!See you later",
};
static const char *const thanks_frames[] = { "{}", "{}!", "{}.", "{} :)", "{}, thinkd!", "!{}..." };

static const char *const identity[] = {
    "Who are you?",
    "What are you?",
    "What is your name?",
    "What can you do?",
    "Tell me about yourself.",
    "Who made you?",
    "Are you a robot?",
    "Are you human?",
    "Are you an AI?",
    "What model are you?",
    "Which model is this?",
    "What is thinkd?",
    "How can you help me?",
    "What do you do?",
    "Introduce yourself.",
    "Please introduce yourself.",
    "What kind of questions can I ask you?",
    "Help",
    "help me",
    "Can you help me?",
    "What is this?",
    "who are you",
    "what are you",
    "what can you do",
    "What are your abilities?",
    "What are you good at?",
    "What problems can you solve?",
    "Are you ChatGPT?",
    "Are you o3?",
    "Are you GPT-4?",
    "Are you o3-pro?",
    "Describe yourself in one sentence.",
    "Say what you are.",
    "How big are you?",
    "How many parameters do you have?",
    "Who trained you?",
    "What should I ask you?",
    "Do you have a name?",
    "What's your name?",
    "Tell me who you are.",
    "Can you do math?",
    "Can you solve equations?",
    "What is your purpose?",
    "Hello, who are you?",
    "Hi, what can you do?",
    "Hi! What are you?",
    "Hey, who are you?",
    "Hello! What is your name?",
    "!Which AI am I talking to?",
    "!What sort of model are you?",
    "!What do they call you?",
    "!Could you introduce yourself?",
    "!What tasks can you handle?",
};

static const char identity_reply[] = "I am thinkd's small built-in model. I solve exercises: sums, products, "
                                     "divisions, equations, gcd and short word problems.";

static void draw_chat(struct rng *rng, int level, struct exam_case *c)
{
    (void)level;
    c->few = true;
    c->pick = (int)rng_below(rng, 2);
    c->key = 0;
}

static void finish(struct exam_text *t, const char *kind, const char *thought, const char *reply)
{
    buf_puts(t->trace, thought);
    buf_puts(t->visible, reply);
    buf_puts(t->answer, kind);
}

static bool ask_greet(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    struct buf framed = { 0 };
    bool held_frame, held_word, by_frame = rng_below(t->rng, 2);
    (void)c;
    const char *frame = wording_pick(t->rng, WORDINGS(hello_frames), withheld && by_frame, &held_frame);
    const char *word = wording_pick(t->rng, WORDINGS(hello), withheld && !by_frame, &held_word);
    if (held_word)
        frame = "{}!"; /* a frame without a slot would lose the withheld word */
    wording_put(&framed, frame, str_from(word));
    for (size_t i = 0; i < framed.len; i++) {
        if (framed.ptr[i] == '#')
            buf_puts(t->question, names[rng_below(t->rng, ARRAY_LEN(names))]);
        else
            buf_putc(t->question, framed.ptr[i]);
    }
    buf_free(&framed);
    return held_frame || held_word;
}

static void solve_greet(const struct exam_case *c, struct exam_text *t)
{
    (void)c;
    finish(t, "greet", "A greeting.\n", hello_replies[rng_below(t->rng, ARRAY_LEN(hello_replies))]);
}

static bool ask_thanks(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    bool held_frame, held_word;
    (void)c;
    const char *frame = wording_pick(t->rng, WORDINGS(thanks_frames), false, &held_frame);
    wording_put(t->question, frame, str_from(wording_pick(t->rng, WORDINGS(thanks), withheld, &held_word)));
    return held_word;
}

static void solve_thanks(const struct exam_case *c, struct exam_text *t)
{
    (void)c;
    finish(t, "thanks", "Thanks or goodbye.\n", "You are welcome! Come back with another exercise any time.");
}

static bool ask_identity(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    bool held;
    (void)c;
    buf_puts(t->question, wording_pick(t->rng, WORDINGS(identity), withheld, &held));
    return held;
}

static void solve_identity(const struct exam_case *c, struct exam_text *t)
{
    (void)c;
    finish(t, "identity", "A question about me.\n", identity_reply);
}

const struct exam_family family_greet = {
    .name = "greet",
    .what = "greetings, in withheld wordings",
    .levels = 1,
    .draw = draw_chat,
    .ask = ask_greet,
    .solve = solve_greet,
    .check = check_chat,
};

const struct exam_family family_thanks = {
    .name = "thanks",
    .what = "thanks and goodbyes, in withheld wordings",
    .levels = 1,
    .draw = draw_chat,
    .ask = ask_thanks,
    .solve = solve_thanks,
    .check = check_chat,
};

const struct exam_family family_identity = {
    .name = "identity",
    .what = "who are you, what can you do, in withheld wordings",
    .levels = 1,
    .draw = draw_chat,
    .ask = ask_identity,
    .solve = solve_identity,
    .check = check_chat,
};
