/*
 * chat.c - the few things besides exercises that the model can say: greetings, thanks, what it is, what is missing.
 *
 * The replies are few on purpose. A model of this size that tried to converse would only invent; what is said to it
 * varies widely, put together from pieces, so that it learns the kind of message and not a list. The exam uses a piece
 * that training never shows in each message.
 */
#include "exam/words_impl.h"

#include <assert.h>
#include <string.h>

static const char *const hellos[] = {
    "Hello",
    "Hi",
    "Hey",
    "Hi there",
    "Hello there",
    "Hey there",
    "Good morning",
    "Good evening",
    "Good afternoon",
    "Greetings",
    "Good day",
    "Howdy",
    "hello",
    "hi",
    "hey",
    "HELLO",
    "Hiya",
    "Yo",
    "hello hello",
    "hi hi",
    "Welcome",
    "hey hey",
    "Morning",
    "Evening",
    "good morning",
    "good evening",
    "HI",
    "Hi again",
    "Hello again, my friend",
    "Heyo",
    "Hallo",
    "Hola",
    "Bonjour",
    "Ciao",
    "Aloha",
    "Namaste",
    "hi there",
    "hey there",
    "Hello dear assistant",
    "A very good morning",
    "A good day to you",
    "Hello everyone",
    "Hi all",
    "hii",
    "heyy",
    "helo",
    "Ahoy",
    "Sup",
    "Well hello",
    "Oh hi",
    "Hey you",
    "Hello my friend",
    "Hi buddy",
    "Hello computer",
    "Hi robot",
    "Dear assistant, hello",
    "!Salutations",
    "!Hello again",
    "!good morning to you",
    "!Heya",
    "!Hullo",
    "!Good to see you",
    "!Hi hello",
    "!Servus",
    "!Top of the morning",
    "!hellooo",
};
/* Behind a greeting; '#' is a name. */
static const char *const hello_more[] = {
    "",
    "",
    "",
    "",
    "",
    "How are you?",
    "How is it going?",
    "How are things?",
    "How are you doing?",
    "Nice to meet you.",
    "Are you there?",
    "I am new here.",
    "My name is #.",
    "I am #.",
    "I'm #.",
    "This is #.",
    "It's #.",
    "Can you hear me?",
    "This is a test.",
    "Just testing.",
    "Nice to see you.",
    "How was your day?",
    "What's up?",
    "What is new?",
    "It is me, #.",
    "Hope you are well.",
    "Have a nice day.",
    "Lovely weather today.",
    "I just installed you.",
    "I wanted to say hi.",
    "How do you feel today?",
    "Are you awake?",
    "Is this working?",
    "I am happy to meet you.",
    "Ready?",
    "Are you ready?",
    "Greetings from #2.",
    "I am writing from #2.",
    "We have not met yet.",
    "I am back.",
    "Here I am.",
    "Anybody home?",
    "How have you been?",
    "Everything fine?",
    "All good?",
    "I hope you are doing well.",
    "Good to meet you.",
    "Long time no see.",
    "Pleased to meet you.",
    "I am your new user.",
    "Let us begin.",
    "Shall we start?",
    "!How do you do?",
    "!Nice day today.",
    "!You can call me #.",
    "!Did you sleep well?",
    "!How goes it?",
    "!People call me #.",
    "!I am visiting from #2.",
    "!What a morning!",
    "!Glad to be here.",
    "!How are you keeping?",
};
/* Whole messages. */
static const char *const hello_alone[] = {
    "Say hi",
    "Say hello",
    "say hello!",
    "Say hello to me.",
    "Please greet me.",
    "How are you?",
    "How are you doing today?",
    "Are you there?",
    "Is anyone there?",
    "What's up?",
    "Hello, this is a test.",
    "Say hi!",
    "Please say hello.",
    "Say hi to #.",
    "Greet the user.",
    "Greet me.",
    "Give me a friendly hello.",
    "Could you say hello?",
    "I want a greeting.",
    "Respond with a greeting.",
    "Just say hi.",
    "Please say hi to me.",
    "Can you greet #?",
    "how are you",
    "how r u",
    "How do you do today?",
    "How is your day going?",
    "How are things going?",
    "Anyone there?",
    "Is somebody there?",
    "Are you online?",
    "Can you hear me?",
    "Do you hear me?",
    "Hello?",
    "Say \"hello\".",
    "Say hello in one sentence.",
    "Reply with hello.",
    "Write a greeting.",
    "Welcome me.",
    "Wave at me.",
    "Knock knock.",
    "How is life?",
    "You there?",
    "Test, test. Hello?",
    "What's new?",
    "Say hello, please.",
    "Say hello to my friend #.",
    "!Say good morning.",
    "!Give me a greeting.",
    "!Tell me hello.",
    "!How are you feeling?",
    "!Are you up?",
    "!Greet my sister #.",
    "!Say something nice as a hello.",
    "!Hello? Anyone?",
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
    "Thank you so much",
    "Thanks for the help",
    "Thank you for your help",
    "Thanks for your time",
    "ty",
    "Thanks again",
    "Thank you again",
    "You are great",
    "You were very helpful",
    "That helped a lot",
    "Awesome, thanks",
    "Wonderful, thank you",
    "I appreciate it",
    "I appreciate your help",
    "Good answer",
    "Nice work",
    "Excellent",
    "Great answer, thanks",
    "Thank you kindly",
    "THANK YOU",
    "That is right, thank you",
    "Correct, thanks",
    "Now I understand, thank you",
    "Super, thanks",
    "Thanks, you saved me",
    "Thanks a million",
    "Thanks, friend",
    "I thank you",
    "Merci",
    "Danke",
    "Gracias",
    "You did well",
    "Very good, thank you",
    "Brilliant, thanks",
    "That is all I needed, thanks",
    "Thanks for explaining",
    "Thanks for the answer",
    "I am grateful",
    "You are the best",
    "Perfect answer",
    "Impressive, thank you",
    "That was quick, thanks",
    "!Thanks so much",
    "!Much appreciated",
    "!Cheers",
    "!I owe you one",
    "!Thanks ever so much",
    "!That solved it, thank you",
    "!You have been a great help",
    "!Lovely, thanks",
};
static const char *const byes[] = {
    "Bye",
    "Goodbye",
    "See you",
    "Good night",
    "bye",
    "Bye bye",
    "bye-bye",
    "See you soon",
    "See you tomorrow",
    "I have to go now",
    "I am leaving now",
    "Until next time",
    "Take care",
    "Farewell",
    "That is all for today",
    "Have a good day",
    "Have a nice evening",
    "Talk to you later",
    "ciao",
    "I am done for today",
    "So long",
    "Good bye",
    "See you next week",
    "I must go, bye",
    "Time to go",
    "I will be back tomorrow",
    "We are done, bye",
    "gotta go",
    "good night",
    "Sleep well",
    "Have a great weekend",
    "Bye for now",
    "I am off",
    "It was nice talking to you, bye",
    "See you around",
    "Have to run, bye",
    "!See you later",
    "!Catch you later",
    "!I'm heading out",
    "!Nighty night",
    "!Adios",
    "!Time for me to leave",
};
static const char *const ends[] = { "",         "!",    ".", " :)", ", thinkd!", "!!",
                                    ", thinkd", " :-)", "!", ".",   "...",       "! \xf0\x9f\x91\x8d" };

enum intent { WHO, ABLE, MAKER, KIND, SIZE, INTENTS };
/* '#' is another model or maker; ABLE: what it can do. */
static const char *const who[] = {
    "Who are you?",
    "What are you?",
    "What is your name?",
    "Tell me about yourself.",
    "Introduce yourself.",
    "Please introduce yourself.",
    "who are you",
    "what are you",
    "Say what you are.",
    "Do you have a name?",
    "What's your name?",
    "Tell me who you are.",
    "What is thinkd?",
    "Describe yourself in one sentence.",
    "Describe yourself.",
    "Who am I talking to?",
    "What is this?",
    "What is this program?",
    "What am I talking to?",
    "Who is this?",
    "Your name?",
    "What should I call you?",
    "Can you tell me your name?",
    "Can you tell me who you are?",
    "Which model is this?",
    "What model are you?",
    "Which model are you?",
    "What kind of model are you?",
    "Tell me your name.",
    "Say your name.",
    "What exactly are you?",
    "whats your name",
    "What do I call you?",
    "May I know your name?",
    "Explain who you are.",
    "Give me a short description of yourself.",
    "I would like to know who you are.",
    "What is your name, please?",
    "What is thinkd's model?",
    "With whom do I speak?",
    "Tell me something about you.",
    "What are you called?",
    "State your name.",
    "name?",
    "!Which AI am I talking to?",
    "!What sort of model are you?",
    "!What do they call you?",
    "!Could you introduce yourself?",
    "!I'd like to hear who you are.",
    "!Who's there?",
    "!Present yourself.",
    "!Would you tell me what you are?",
};
static const char *const able[] = {
    "What can you do?",
    "How can you help me?",
    "What do you do?",
    "What kind of questions can I ask you?",
    "Help",
    "help me",
    "Can you help me?",
    "what can you do",
    "What are your abilities?",
    "What are you good at?",
    "What problems can you solve?",
    "What should I ask you?",
    "Can you do math?",
    "Can you solve equations?",
    "What is your purpose?",
    "help",
    "I need help",
    "Please help me.",
    "What can I ask?",
    "What can I do with you?",
    "What are you for?",
    "What do you know?",
    "What are your skills?",
    "How do I use you?",
    "What can you answer?",
    "Which tasks do you know?",
    "Which exercises can you solve?",
    "Can you count?",
    "Can you calculate?",
    "Can you think?",
    "Can you solve word problems?",
    "What are your limits?",
    "What can't you do?",
    "Are you good at math?",
    "Do you know math?",
    "What do you understand?",
    "List what you can do.",
    "Show me what you can do.",
    "Give me an example of what you can do.",
    "Tell me what you can do.",
    "What tasks are you made for?",
    "Can you answer questions?",
    "What help do you offer?",
    "What is your job?",
    "What are you made for?",
    "HELP",
    "Can you do logic puzzles?",
    "!What tasks can you handle?",
    "!What are you capable of?",
    "!How might you assist me?",
    "!In what ways are you useful?",
    "!What's your specialty?",
    "!Are you able to solve exercises?",
    "!What would you be useful for?",
};
static const char *const maker[] = {
    "Who made you?",           "Who trained you?",
    "Who built you?",          "Who created you?",
    "Where do you come from?", "Who wrote you?",
    "Who is your maker?",      "Which company made you?",
    "Were you made by #?",     "Did # make you?",
    "Who developed you?",      "Are you made by #?",
    "Who are your creators?",  "How were you made?",
    "How were you trained?",   "Who invented you?",
    "Who owns you?",           "Do you come from #?",
    "Who programmed you?",     "!Who is behind you?",
    "!Whose model are you?",   "!Did someone at # build you?",
};
static const char *const kind[] = {
    "Are you a robot?",
    "Are you human?",
    "Are you an AI?",
    "Are you ChatGPT?",
    "Are you o3?",
    "Are you GPT-4?",
    "Are you o3-pro?",
    "Are you #?",
    "Are you a person?",
    "Are you a machine?",
    "Are you a language model?",
    "Are you alive?",
    "Are you real?",
    "Are you a bot?",
    "Am I talking to #?",
    "Are you the same as #?",
    "Is this #?",
    "Are you a human being?",
    "Are you a computer?",
    "Are you an LLM?",
    "Are you some kind of AI?",
    "Is this a human?",
    "Am I talking to a human?",
    "Do you have feelings?",
    "Are you conscious?",
    "Are you smart?",
    "Are you better than #?",
    "Are you based on #?",
    "!Are you a real person?",
    "!Could it be that you are #?",
    "!Is there a human behind this?",
    "!Are you related to #?",
};
static const char *const size[] = {
    "How big are you?",
    "How many parameters do you have?",
    "How large are you?",
    "Are you a big model?",
    "Are you small?",
    "How old are you?",
    "How much memory do you need?",
    "Where do you run?",
    "Do you run on my computer?",
    "Are you running locally?",
    "Do you need the internet?",
    "What is your size?",
    "Are you a small model?",
    "How fast are you?",
    "Do you run on a CPU?",
    "!What's your parameter count?",
    "!Do you work offline?",
    "!How heavy are you?",
};
static const char *const makers[] = { "OpenAI",  "Google", "Meta",  "Microsoft", "Anthropic",
                                      "Mistral", "IBM",    "Apple", "a startup", "Alibaba" };
static const char *const models[] = { "ChatGPT", "GPT-4", "o3",    "o3-pro", "o3-mini", "Claude",   "Gemini",
                                      "Llama",   "Siri",  "Alexa", "Qwen",   "Mistral", "DeepSeek", "o1" };

static const struct {
    struct wordings wordings;
    const char *reply;
} intents[INTENTS] = {
    { { who, ARRAY_LEN(who) },
      "I am thinkd's small built-in model. I solve exercises: sums, equations, number "
      "puzzles, word problems, dates and "
      "logic." },
    { { able, ARRAY_LEN(able) },
      "I am thinkd's small built-in model. Give me a sum, an equation, a word problem, a "
      "date or a logic puzzle; I can also "
      "answer in JSON and call functions." },
    { { maker, ARRAY_LEN(maker) },
      "I am thinkd's small built-in model. The thinkd project trained me on exercises that it made itself." },
    { { kind, ARRAY_LEN(kind) },
      "I am thinkd's small built-in model, a program that was trained to solve exercises." },
    { { size, ARRAY_LEN(size) },
      "I am thinkd's small built-in model, with fewer than thirty million parameters; I run "
      "on this machine and solve "
      "exercises." },
};

/* --- pieces ------------------------------------------------------------------------------------------------------------------ */

static void draw_chat(struct rng *rng, int level, struct exam_case *c)
{
    (void)level;
    c->few = true;
    c->pick = (int)rng_below(rng, 2);
    c->key = 0;
}

static void finish(struct exam_text *t, const char *what, const char *thought, const char *reply)
{
    buf_puts(t->trace, thought);
    buf_puts(t->visible, reply);
    buf_puts(t->answer, what);
}

/* '#' becomes a name and "#2" a city; returns the name, if there was one. */
static const char *put_named(struct rng *rng, struct buf *out, const char *text, bool held)
{
    const char *name = NULL;
    for (; *text; text++) {
        if (*text != '#') {
            buf_putc(out, *text);
        } else if (text[1] == '2') {
            buf_puts(out, words_city(rng, held));
            text++;
        } else {
            name = words_name(rng, held);
            buf_puts(out, name);
        }
    }
    return name;
}

/* Does the message ask how it is? */
static bool asks_how(const struct buf *question)
{
    static const char *const words[] = { "ow are", "ow is",   "ow do you",    "ow r u",  "ow have you",
                                         "ow was", "ow goes", "veryone fine", "ll good", "verything fine" };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_find(buf_str(question), str_from(words[i])) != SIZE_MAX)
            return true;
    return false;
}

/* --- greetings ---------------------------------------------------------------------------------------------------------------- */

/* "Hello", "Hi, thinkd! How are you?"; a name at the end of "My name is" is answered by name. */
static bool ask_greet(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    static const char *const joins[] = { "! ", ", ", ". ", " ", "! ", ", thinkd! ", " thinkd, ", " :) " };
    bool held, alone = rng_below(t->rng, 4) == 0, new_more = withheld && rng_below(t->rng, 2);
    (void)c;
    buf_clear(t->visible);
    if (alone) {
        put_named(t->rng, t->question, wording_pick(t->rng, WORDINGS(hello_alone), withheld, &held),
                  withheld);
        return held;
    }
    buf_puts(t->question, wording_pick(t->rng, WORDINGS(hellos), withheld && !new_more, &held));
    const char *more = wording_pick(t->rng, WORDINGS(hello_more), new_more, &held);
    if (!*more) {
        buf_puts(t->question, ends[rng_below(t->rng, ARRAY_LEN(ends))]);
        return withheld;
    }
    buf_puts(t->question, joins[rng_below(t->rng, ARRAY_LEN(joins))]);
    const char *name = put_named(t->rng, t->question, more, withheld);
    if (name)
        buf_puts(t->visible, name); /* solve_greet greets by it */
    return withheld;
}

static void solve_greet(const struct exam_case *c, struct exam_text *t)
{
    static const char *const replies[] = {
        "Give me an exercise and I will work it out.",
        "I can solve sums, equations and word problems. What is yours?",
        "What exercise shall I work out?",
        "What can I work out for you?",
    };
    char name[32] = "";
    (void)c;
    if (t->visible->len && t->visible->len + 3 < sizeof name) {
        memcpy(name, ", ", 2);
        memcpy(name + 2, t->visible->ptr, t->visible->len + 1);
    }
    buf_clear(t->visible);
    buf_printf(t->visible, "%s%s! %s", rng_below(t->rng, 2) ? "Hello" : "Hi", name,
               asks_how(t->question) ? "I am fine, thank you. " : "");
    finish(t, "greet", asks_how(t->question) ? "A greeting, and how I am.\n" : "A greeting.\n",
           replies[rng_below(t->rng, ARRAY_LEN(replies))]);
}

static bool ask_thanks(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    bool held;
    struct wordings list = c->pick ? WORDINGS(thanks) : WORDINGS(byes);
    buf_puts(t->question, wording_pick(t->rng, list, withheld, &held));
    buf_puts(t->question, ends[rng_below(t->rng, ARRAY_LEN(ends))]);
    return held;
}

static void solve_thanks(const struct exam_case *c, struct exam_text *t)
{
    if (c->pick)
        finish(t, "thanks", "Thanks.\n", "You are welcome! Come back with another exercise any time.");
    else
        finish(t, "thanks", "A goodbye.\n", "Goodbye! Come back with another exercise any time.");
}

/* --- what it is ------------------------------------------------------------------------------------------------------------------ */

static void draw_identity(struct rng *rng, int level, struct exam_case *c)
{
    static const enum intent list[] = { WHO, WHO, WHO, ABLE, ABLE, ABLE, MAKER, KIND, SIZE };
    (void)level;
    c->few = true;
    c->pick = (int)list[rng_below(rng, ARRAY_LEN(list))];
}

static bool ask_identity(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    static const char *const before[] = { "Hello! ",     "Hi, ",    "Hey, ",
                                          "Excuse me, ", "Sorry, ", "One question: ",
                                          "Tell me: ",   "So, ",    "Please tell me, " };
    bool held;
    const char *text = wording_pick(t->rng, intents[c->pick].wordings, withheld, &held);
    if (rng_below(t->rng, 4) == 0)
        buf_puts(t->question, before[rng_below(t->rng, ARRAY_LEN(before))]);
    for (; *text; text++)
        if (*text != '#')
            buf_putc(t->question, *text);
        else if (c->pick == MAKER)
            buf_puts(t->question, makers[rng_below(t->rng, ARRAY_LEN(makers))]);
        else
            buf_puts(t->question, models[rng_below(t->rng, ARRAY_LEN(models))]);
    return held;
}

static void solve_identity(const struct exam_case *c, struct exam_text *t)
{
    finish(t, "identity", c->pick == ABLE ? "What I can do.\n" : "A question about me.\n",
           intents[c->pick].reply);
}

/* --- missing data ------------------------------------------------------------------------------------------------------------------ */

/* {a} {b} numbers, {N} a name, {o} things; "|" and what to ask for. */
static const char *const gaps[] = {
    "What is the sum of {a} and?|the second number",
    "What is {a} plus?|the second number",
    "Add {a} and.|the second number",
    "What is {a} times?|the second number",
    "Calculate {a} minus.|the second number",
    "Divide {a} by.|the number to divide by",
    "What is divided by {a}?|the number to divide",
    "What is the product of {a} and?|the second number",
    "{a} +|the second number",
    "{a} * = ?|the second number",
    "{a} - = ?|the second number",
    "/ {a} = ?|the first number",
    "What is the gcd of {a} and?|the second number",
    "What is the greatest common divisor of {a}?|the second number",
    "What is % of {a}?|the percentage",
    "What is {a}% of?|the number",
    "What is the remainder of {a} divided by?|the number to divide by",
    "Solve for x:|the equation",
    "Solve the equation.|the equation",
    "Solve this equation for x.|the equation",
    "Please calculate.|the exercise",
    "Please solve the following problem:|the problem",
    "Here is my exercise:|the exercise",
    "Add the two numbers.|the numbers",
    "Multiply these numbers.|the numbers",
    "Sort these numbers.|the numbers",
    "Find the gcd of the two numbers.|the numbers",
    "Subtract from {a}.|the number to subtract",
    "Add {a} to the number.|the other number",
    "How many letters are in the word?|the word",
    "Reverse the word.|the word",
    "Sort these words.|the words",
    "What day is {a} days after?|the starting day",
    "What date is it {a} days later?|the starting date",
    "How many days are there between {a} May and?|the second date",
    "{N} has {a} {o} and gets some more. How many {o} does {he} have now?|how many {o} {N} gets",
    "{N} has some {o} and buys {a} more. How many {o} does {he} have?|how many {o} {N} had at first",
    "{N} buys {a} {o}. How much does {he} pay?|the price of one of the {o}",
    "{N} shares {a} {o} equally among {his} friends. How many does each get?|the number of friends",
    "{N} had {a} {o} and gave some to {M}. How many {o} are left?|how many {o} {N} gave away",
    "One {o1} costs {$a}. How much does {N} pay for {his} {o}?|how many {o} {N} buys",
    "{N} is {a} years older than {M}. How old is {N}?|how old {M} is",
    "{N} drives for {a} hours. How many km is that?|the speed",
    "{M} has {a} more {o} than {N}. How many {o} does {M} have?|how many {o} {N} has",
    "There are {a} {boxes} with {o} in each. How many {o} are there?|how many {o} are in each {box}",
    "{N} reads {a} pages a day. How many days does {he} need for the book?|the number of pages of the book",
    "A rectangle is {a} cm long. What is its area?|the width of the rectangle",
    "{N} earns {$a} an hour. How much does {he} earn?|how many hours {N} works",
    "{N} saves {$a} a week for a bike. How many weeks does {he} need?|the price of the bike",
    "Convert to minutes.|the time",
    "Convert {a} to base.|the base",
    "Is it true?|the statement",
    "What comes next in the sequence?|the sequence",
    "What is twice the number?|the number",
    "What is half of?|the number",
    "Compute the total.|the numbers",
    "What is the average of these numbers?|the numbers",
    "Check my result.|the exercise and the result",
    "!What do you get if you add {a} to?|the second number",
    "!How much is {a} multiplied by?|the second number",
    "!Take {a} away from.|the first number",
    "!Work out the answer for me.|the exercise",
    "!Find x.|the equation",
    "!{N} eats some of {his} {a} {o}. How many are left?|how many {o} {N} eats",
    "!{N} and {M} have {o} together. {N} has {a}. How many do both have?|how many {o} {M} has",
    "!Spell the word backwards.|the word",
    "!A garden is {a} meters wide. How big is its area?|the length of the garden",
    "!Order the following numbers.|the numbers",
};

static void draw_ask(struct rng *rng, int level, struct exam_case *c)
{
    (void)level;
    (void)rng;
    c->few = true;
}

static bool ask_gap(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    struct cast k;
    bool held;
    const int64_t n[] = { rng_range(t->rng, 2, rng_below(t->rng, 2) ? 30 : 999), 0 };
    const char *text = wording_pick(t->rng, WORDINGS(gaps), withheld, &held), *missing = part_at(text, 1);
    struct phrase p = { t->rng, &k, n, 1, 2, true };
    (void)c;
    cast_draw(t->rng, &k, false);
    k.past = false;
    phrase_put(t->question, &p, text);
    text_tidy(t->question);
    phrase_put(t->visible, &p, missing); /* solve_gap asks for it */
    return held;
}

static void solve_gap(const struct exam_case *c, struct exam_text *t)
{
    static const char *const forms[][2] = { { "Please tell me ", " as well." },
                                            { "Could you tell me ", "?" },
                                            { "I cannot work this out yet: please tell me ", "." } };
    struct buf missing = { 0 };
    (void)c;
    buf_put_str(&missing, buf_str(t->visible));
    buf_clear(t->visible);
    buf_printf(t->trace, "Missing: %s.\n", missing.ptr);
    size_t form = (size_t)rng_below(t->rng, ARRAY_LEN(forms));
    buf_printf(t->visible, "%s%s%s", forms[form][0], missing.ptr, forms[form][1]);
    buf_puts(t->answer, "ask");
    buf_free(&missing);
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
    .draw = draw_identity,
    .ask = ask_identity,
    .solve = solve_identity,
    .check = check_chat,
};

const struct exam_family family_ask = {
    .name = "ask",
    .what = "exercises with a gap: it asks for what is missing, in withheld wordings",
    .levels = 1,
    .draw = draw_ask,
    .ask = ask_gap,
    .solve = solve_gap,
    .check = check_chat,
};
