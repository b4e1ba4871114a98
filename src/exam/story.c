/*
 * story.c - word problems from a template grammar: names, things, wordings and numbers vary, the plan is fixed.
 *
 * A template says how many numbers it needs and of what size, its plan (operations on the numbers a-e and
 * on earlier results 1-3) and its wordings. About one template in seven is withheld: training never sees it in
 * any wording, and the family "story-new" asks nothing else.
 *
 * Slots: {a}..{e} numbers, {N} {M} two people, {he} {his} {He} of the first, {o} {q} two kinds of things.
 */
#include "exam/exam_impl.h"

#define STEPS_MAX 3
#define DRAWS_MAX 4000

struct story {
    bool withheld;
    const char *sizes; /* one letter for each number: s small, m medium, l large */
    const char *plan;  /* "a+b 1*c": at most STEPS_MAX operations */
    const char *texts[3];
};

static const struct story stories[] = {
    /* one step */
    { false,
      "mm",
      "a+b",
      { "{N} has {a} {o}. {M} gives {N} {b} more {o}. How many {o} does {N} have now?",
        "{N} had {a} {o} and got {b} more from {M}. How many {o} does {he} have in all?",
        "If {N} has {a} {o} and {M} gives {he2} {b} more, how many {o} does {N} have?" } },
    { false,
      "mm",
      "a-b",
      { "{N} has {a} {o}. {He} gives {b} {o} to {M}. How many {o} does {N} have left?",
        "{N} had {a} {o} and gave {b} of them to {M}. How many are left?",
        "There were {a} {o} in {N}'s bag. {M} took {b} of them. How many {o} are still in the bag?" } },
    { false,
      "ss",
      "a*b",
      { "{N} has {a} boxes with {b} {o} in each box. How many {o} does {N} have?",
        "There are {a} boxes. Each box holds {b} {o}. How many {o} are there in total?",
        "{N} fills {a} boxes with {b} {o} each. How many {o} is that altogether?" } },
    { false,
      "ms",
      "a/b",
      { "{N} shares {a} {o} equally among {b} friends. How many {o} does each friend get?",
        "{a} {o} are shared equally by {b} children. How many {o} does each child get?",
        "{N} puts {a} {o} into {b} bags, the same number in each. How many {o} are in each bag?" } },
    { false,
      "mm",
      "a+b",
      { "{N} read {a} pages on Monday and {b} pages on Tuesday. How many pages did {he} read in total?",
        "On Monday {N} read {a} pages. On Tuesday {he} read {b} pages. How many pages is that altogether?",
        "{N} read {a} pages of a book yesterday and {b} pages today. How many pages has {he} read?" } },
    { false,
      "lm",
      "a-b",
      { "A book has {a} pages. {N} has read {b} pages. How many pages are left to read?",
        "{N} is reading a book of {a} pages and is on page {b}. How many pages remain?",
        "{N} has read {b} of the {a} pages of a book. How many pages does {he} still have to read?" } },
    { false,
      "ss",
      "a*b",
      { "One ticket costs {a} dollars. {N} buys {b} tickets. How much does {he} pay?",
        "{N} buys {b} tickets for ${a} each. How many dollars does {he} spend?",
        "Tickets cost ${a} each. What is the price of {b} tickets in dollars?" } },
    { false,
      "mm",
      "a-b",
      { "{N} is {a} years old. {M} is {b} years younger. How old is {M}?",
        "{M} is {b} years younger than {N}, who is {a}. How old is {M}?",
        "{N} is {a} and {M} is {b} years younger than {N}. What is {M}'s age?" } },
    { false,
      "mm",
      "a+b",
      { "{N} is {a} years old. How old will {he} be in {b} years?",
        "{N} is {a} now. What will {his} age be after {b} years?",
        "How old will {N} be in {b} years if {he} is {a} years old today?" } },
    { false,
      "sm",
      "a*b",
      { "A car drives {b} kilometers in one hour. How many kilometers does it drive in {a} hours?",
        "{N} drives at {b} km per hour for {a} hours. How far does {he} drive in km?",
        "A train goes {b} miles every hour. How many miles does it go in {a} hours?" } },
    { false,
      "mm",
      "a+b",
      { "There are {a} red {o} and {b} blue {o} on the table. How many {o} are there?",
        "{N} has {a} red {o} and {b} green {o}. How many {o} does {he} have altogether?",
        "A shop has {a} small {o} and {b} big {o}. How many {o} does it have?" } },
    { false,
      "ms",
      "a/b",
      { "{N} has {a} {o} and packs {b} into each box. How many boxes does {he} need?",
        "{b} {o} fit into one box. How many boxes are needed for {a} {o}?",
        "How many boxes of {b} {o} can {N} fill with {a} {o}?" } },
    { false,
      "mm",
      "a-b",
      { "{N} has {a} {o} and {M} has {b} {o}. How many more {o} does {N} have than {M}?",
        "{M} has {b} {o}. {N} has {a}. How many more {o} has {N}?",
        "How many more {o} does {N} have than {M} if {N} has {a} and {M} has {b}?" } },
    { false,
      "sm",
      "b*a",
      { "{N} walks {b} minutes every day. How many minutes does {he} walk in {a} days?",
        "Every day {N} does {b} exercises. How many exercises does {he} do in {a} days?",
        "A machine makes {b} {o} an hour. How many {o} does it make in {a} hours?" } },
    { false,
      "lm",
      "a-b",
      { "{N} has ${a} and spends ${b}. How many dollars are left?",
        "{N} had {a} dollars. {He} bought a coat for {b} dollars. How much money does {he} have left?",
        "After spending {b} dollars of {his} {a} dollars, how many dollars does {N} have?" } },
    { true,
      "mm",
      "a+b",
      { "A farmer picked {a} {o} in the morning and {b} {o} in the afternoon. How many {o} did the farmer "
        "pick that day?",
        "In the morning a baker sold {a} {o}, in the afternoon {b} more. How many {o} were sold?", 0 } },
    { true,
      "ss",
      "a*b",
      { "A garden has {a} rows of {b} trees. How many trees are in the garden?",
        "The hall has {a} rows with {b} seats each. How many seats does it have?", 0 } },
    { true,
      "lm",
      "a-b",
      { "A bus carries {a} people. At the next stop {b} people get off. How many people are still on the "
        "bus?",
        "Of {a} birds on a roof, {b} fly away. How many birds stay?", 0 } },

    /* two steps */
    { false,
      "mss",
      "b*c a+1",
      { "{N} has {a} {o}. {He} buys {b} packs with {c} {o} each. How many {o} does {he} have now?",
        "{N} had {a} {o} and bought {b} packs of {c} {o}. How many {o} does {he} have in total?",
        "{N} owns {a} {o} and gets {b} more boxes of {c} {o} each. How many {o} is that in all?" } },
    { false,
      "lss",
      "b*c a-1",
      { "{N} has ${a}. {He} buys {b} {o} for ${c} each. How many dollars are left?",
        "{N} takes {a} dollars to the shop and buys {b} {o} at {c} dollars each. How much money is left?",
        "{b} {o} cost {c} dollars each. {N} pays with {a} dollars. How much change does {he} get?" } },
    { false,
      "mmm",
      "a-b 1+c",
      { "{N} has {a} {o}. {He} gives {b} to {M} and then finds {c} more. How many {o} does {N} have now?",
        "{N} had {a} {o}, lost {b} of them and then bought {c}. How many {o} does {he} have?",
        "There are {a} {o} in a box. {N} takes out {b} and puts in {c}. How many {o} are in the box now?" } },
    { false,
      "mmm",
      "a+b 1-c",
      { "{N} has {a} {o} and buys {b} more. Then {he} gives {c} to {M}. How many {o} are left?",
        "{N} collected {a} {o} on Friday and {b} on Saturday, then lost {c}. How many {o} does {he} have?",
        "A shop had {a} {o}, got {b} more and sold {c}. How many {o} does the shop have now?" } },
    { false,
      "mm",
      "a*2 a+1",
      { "{N} has {a} {o}. {M} has twice as many. How many {o} do they have together?",
        "{M} has twice as many {o} as {N}, who has {a}. How many {o} do the two have in total?",
        "{N} found {a} {o} and {M} found twice as many. How many {o} did they find altogether?" } },
    { false,
      "mm",
      "a+b a+1",
      { "{N} has {a} {o}. {M} has {b} more than {N}. How many {o} do they have together?",
        "{N} sold {a} {o}. {M} sold {b} more than {N}. How many {o} did they sell in total?",
        "{M} has {b} more {o} than {N}. {N} has {a} {o}. How many {o} have they both together?" } },
    { false,
      "mm",
      "a-b a+1",
      { "{N} has {a} {o}. {M} has {b} fewer than {N}. How many {o} do they have together?",
        "{N} picked {a} {o} and {M} picked {b} fewer. How many {o} did they pick in total?",
        "{M} has {b} {o} less than {N}. {N} has {a}. How many {o} are there altogether?" } },
    { false,
      "sss",
      "a*b 1*c",
      { "There are {a} shelves with {b} boxes on each shelf. Each box has {c} {o}. How many {o} are there?",
        "{N} has {a} boxes. Each box has {b} bags with {c} {o} in each bag. How many {o} does {N} have?",
        "A school has {a} classes with {b} children each. Every child brings {c} {o}. How many {o} is "
        "that?" } },
    { false,
      "mms",
      "a+b 1/c",
      { "{N} has {a} {o} and {M} has {b} {o}. They share all of them equally among {c} friends. How many {o} "
        "does each friend get?",
        "{N} picks {a} {o} and {M} picks {b}. They pack them into {c} equal bags. How many {o} are in each "
        "bag?",
        "{a} red and {b} yellow {o} are split evenly into {c} boxes. How many {o} go into one box?" } },
    { false,
      "lms",
      "a-b 1/c",
      { "{N} has {a} {o}. {He} keeps {b} and shares the rest equally among {c} friends. How many {o} does "
        "each friend get?",
        "Of {a} {o}, {b} are broken. The rest are put into {c} boxes equally. How many {o} are in each box?",
        "{N} had {a} dollars, spent {b}, and split the rest equally between {c} children. How many dollars "
        "did each child get?" } },
    { false,
      "ss",
      "a*7 1*b",
      { "{N} drinks {a} glasses of water a day. How many glasses does {he} drink in {b} weeks?",
        "{N} runs {a} km every day. How many km does {he} run in {b} weeks?",
        "A hen lays {a} eggs each day. How many eggs are there after {b} weeks?" } },
    { false,
      "mss",
      "a/b 1*c",
      { "{b} {o} cost {a} dollars. How much do {c} {o} cost?",
        "{N} pays {a} dollars for {b} {o}. How many dollars would {c} {o} cost at the same price?",
        "If {b} {o} cost ${a}, what is the price of {c} {o} in dollars?" } },
    { false,
      "mmm",
      "a+b 1+c",
      { "{N} scored {a}, {b} and {c} points in three games. How many points is that in total?",
        "On three days {N} sold {a}, {b} and {c} {o}. How many {o} did {he} sell in all?",
        "{N} has {a} {o}, {M} has {b} and their friend has {c}. How many {o} do the three have?" } },
    { false,
      "lmm",
      "a-b 1-c",
      { "{N} has {a} {o}. {He} gives {b} to {M} and loses {c}. How many {o} are left?",
        "There are {a} {o} in a shop. {b} are sold on Monday and {c} on Tuesday. How many {o} are left?",
        "From {a} dollars {N} pays {b} for shoes and {c} for a hat. How many dollars remain?" } },
    { false,
      "ms",
      "a*b 1/2",
      { "{N} has {b} bags with {a} {o} each and gives half of all {o} to {M}. How many {o} does {M} get?",
        "There are {b} boxes of {a} {o}. Half of the {o} are blue. How many blue {o} are there?",
        "{N} bakes {b} trays of {a} {o} and sells half of them. How many {o} are sold?" } },
    { false,
      "m",
      "a/2 a+1",
      { "{N} sold {a} {o} in April and half as many in May. How many {o} did {he} sell in both months?",
        "{N} has {a} {o}. {M} has half as many. How many {o} do they have together?",
        "On Monday {a} {o} were made, on Tuesday half as many. How many {o} were made in the two days?" } },
    { false,
      "sss",
      "a*b 1+c",
      { "{N} has {a} packs of {b} {o} and {c} single {o}. How many {o} does {he} have?",
        "There are {a} tables with {b} chairs each and {c} more chairs by the wall. How many chairs are "
        "there?",
        "{N} bought {a} bags of {b} {o}. {M} gave {he2} {c} more. How many {o} does {N} have?" } },
    { false,
      "sss",
      "a*b 1-c",
      { "{N} has {a} packs of {b} {o}. {He} uses {c} {o}. How many {o} are left?",
        "A shop gets {a} boxes of {b} {o}. {c} of the {o} are broken. How many {o} are whole?",
        "There are {a} teams of {b} players. {c} players are ill. How many players can play?" } },
    { true,
      "mms",
      "b-a 1/c",
      { "{N} has saved {a} dollars and wants a bike that costs {b} dollars. {He} saves {c} dollars a week. "
        "How many weeks does {he} need?",
        "A tank holds {b} liters and has {a} liters in it. A pump adds {c} liters a minute. After how many "
        "minutes is the tank full?",
        0 } },
    { true,
      "sss",
      "a*b 1+c",
      { "{N} works {a} hours for {b} dollars an hour and gets a tip of {c} dollars. How many dollars does "
        "{he} earn?",
        "A taxi costs {c} dollars plus {b} dollars for each km. How much is a ride of {a} km?", 0 } },

    /* three steps */
    { false,
      "ssss",
      "a*b c*d 1+2",
      { "{N} buys {a} {o} for ${b} each and {c} {q} for ${d} each. How many dollars does {he} pay in total?",
        "{N} has {a} boxes of {b} {o} and {c} boxes of {d} {q}. How many things is that in all?",
        "{a} {o} cost {b} dollars each and {c} {q} cost {d} dollars each. What do they cost together?" } },
    { false,
      "lssss",
      "b*c d*e 1+2",
      { "{N} sells {b} {o} for ${c} each and {d} {q} for ${e} each. How many dollars does {he} take in?",
        "{b} children bring {c} {o} each and {d} parents bring {e} {o} each. How many {o} are brought?",
        "{N} runs {b} km on each of {c} days and {d} km on each of {e} days. How many km is that?" } },
    { false,
      "mmss",
      "a+b 1*c 2-d",
      { "{N} earns {a} dollars on Saturday and {b} dollars on Sunday. After {c} such weekends {he} buys a "
        "book for {d} dollars. How many dollars are left?",
        "Each day {N} makes {a} {o} and {M} makes {b}. After {c} days {d} of the {o} are sold. How many {o} "
        "are left?",
        "A box holds {a} red and {b} blue {o}. From {c} such boxes {N} takes {d} {o} away. How many {o} "
        "remain?" } },
    { false,
      "msss",
      "a-b 1*c 2+d",
      { "A bag had {a} {o} but {b} were bad. {N} has {c} such bags and {d} more good {o}. How many good {o} "
        "are there?",
        "{N} earns ${a} a day and spends ${b} a day. After {c} days {he} gets ${d} more. How many dollars "
        "has {he} saved?",
        "Every week {N} gets {a} {o} and gives away {b}. After {c} weeks {he} finds {d} more. How many {o} "
        "does {he} have?" } },
    { false,
      "mss",
      "a*b 1+a 2-c",
      { "{N} has {a} {o}. {M} has {b} times as many. Together they give away {c} {o}. How many {o} are left?",
        "{M} picked {b} times as many {o} as {N}, who picked {a}. They ate {c} of them. How many {o} are "
        "left?",
        "{N} made {a} {o} and {M} made {b} times as many. {c} {o} were sold. How many remain?" } },
    { false,
      "mmm",
      "a+b a+1 2+c",
      { "{N} has {a} {o}. {M} has {b} more than {N}. Their friend has {c}. How many {o} do all three have?",
        "On Monday {a} {o} were sold, on Tuesday {b} more than on Monday, and on Wednesday {c}. How many {o} "
        "were sold in all?",
        "{N} ran {a} km, {M} ran {b} km more than {N}, and a friend ran {c} km. How many km did they run "
        "together?" } },
    { false,
      "ssss",
      "a*b 1-c 2/d",
      { "{N} has {a} packs of {b} {o}, eats {c} and shares the rest equally among {d} friends. How many {o} "
        "does each friend get?",
        "There are {a} boxes of {b} {o}. {c} {o} are broken, the others are put on {d} plates equally. How "
        "many {o} are on each plate?",
        "{N} buys {a} bags of {b} {o}. {He} loses {c} and packs the rest into {d} equal piles. How many {o} "
        "are in a pile?" } },
    { false,
      "lssm",
      "b*c a-1 2-d",
      { "{N} has {a} dollars. {He} buys {b} {o} for {c} dollars each and a bag for {d} dollars. How many "
        "dollars does {he} have left?",
        "Of {a} pages {N} reads {c} pages on each of {b} days and then {d} pages on Sunday. How many pages "
        "are left?",
        "A shop has {a} {o}. {b} people buy {c} {o} each and one person buys {d}. How many {o} are left in "
        "the shop?" } },
    { false,
      "mmss",
      "a+b 1/c 2*d",
      { "{N} and {M} put {a} and {b} {o} together and fill {c} equal bags. They sell {d} of the bags. How "
        "many {o} do they sell?",
        "{a} boys and {b} girls form {c} equal teams. {d} of the teams play. How many children play?",
        "{N} has {a} red and {b} blue {o} in {c} equal boxes. How many {o} are in {d} of the boxes?" } },
    { true,
      "mss",
      "a*b 1/2 2+c",
      { "{N} buys {b} cartons of {a} {o}. Half of them are eaten, then {M} brings {c} more. How many {o} are "
        "there now?",
        "A school orders {b} crates of {a} {o} and uses half. Later {c} more {o} arrive. How many {o} does "
        "the school have?",
        0 } },
    { true,
      "smsm",
      "a*b c*d 1-2",
      { "In {a} days one machine makes {b} {o} a day. In {c} days another makes {d} {o} a day. How many more "
        "{o} does the first one make?",
        "{N} works {a} days for {b} dollars a day, {M} works {c} days for {d} dollars a day. How many "
        "dollars more does {N} earn?",
        0 } },
};

static const char *const girls[] = { "Anna",  "Mia",  "Sara", "Lena", "Maya",  "Emma",
                                     "Nina",  "Ruth", "Lucy", "Zoe",  "Priya", "Amina",
                                     "Julia", "Olga", "Kate", "Rosa", "Ivy",   "Mei" };
static const char *const boys[] = {
    "Tom",  "Ben", "Omar", "Ali",    "Leo",   "Max",  "Ivan", "Jack", "Noah",
    "Paul", "Raj", "Sam",  "Carlos", "Peter", "Hugo", "Kofi", "Liam", "Yuki"
};
static const char *const things[] = {
    "apples",  "books",   "pencils", "marbles", "stickers", "cookies",  "oranges", "coins",
    "cards",   "balls",   "toys",    "stamps",  "shells",   "eggs",     "pens",    "candies",
    "flowers", "stones",  "buttons", "cups",    "beads",    "balloons", "pears",   "nuts",
    "tickets", "cakes",   "muffins", "bottles", "keys",     "hats",     "plates",  "photos",
    "badges",  "crayons", "lemons",  "ribbons", "socks",    "tiles",    "dolls",   "kites",
};

static const char *const asides[] = { "{N} is {x} years old. ", "It is a sunny day. ",
                                      "{M} has {x} cousins. ", "The shop opens at {x}. ",
                                      "{N} lives at number {x}. " };

static int plan_steps(const char *plan)
{
    int count = 1;
    for (; *plan; plan++)
        count += *plan == ' ';
    return count;
}

/* The operand named by one character: a-e a number of the case, a digit the result of that step, or the
 * digit itself while that step has not been done ("a*2" in the first step doubles). */
static int64_t operand(const struct exam_case *c, const int64_t *results, int done, char name)
{
    if (name >= 'a' && name <= 'e')
        return c->n[name - 'a'];
    int value = name - '0';
    return value <= done ? results[value - 1] : value;
}

/* Walks the plan; with text the lines are written. False when a value is not a positive whole number. */
static bool run_plan(const struct exam_case *c, struct exam_text *t, struct buf *out,
                     int64_t results[STEPS_MAX], bool recheck)
{
    const char *p = stories[c->pick].plan;
    for (int done = 0;; done++, p += 4) {
        int64_t a = operand(c, results, done, p[0]), b = operand(c, results, done, p[2]);
        if (p[1] == '/' && (b < 1 || a % b))
            return false;
        results[done] = apply_op(p[1], a, b);
        if (results[done] < 1)
            return false;
        if (out && recheck && p[1] == '+')
            buf_printf(out, "%lld-%lld=%lld\n", (long long)results[done], (long long)b, (long long)a);
        else if (out && recheck && p[1] == '-')
            buf_printf(out, "%lld+%lld=%lld\n", (long long)results[done], (long long)b, (long long)a);
        else if (out && recheck)
            buf_printf(out, "%lld%c%lld=%lld\n", (long long)results[done], p[1] == '*' ? '/' : '*',
                       (long long)b, (long long)a);
        else if (out)
            steps_apply(t, out, p[1], a, b);
        if (!p[3])
            return true;
    }
}

static int64_t draw_size(struct rng *rng, char size, bool large)
{
    switch (size) {
    case 's': return rng_range(rng, 2, large ? 25 : 12);
    case 'm': return large ? rng_range(rng, 15, 400) : rng_range(rng, 3, 50);
    default: return large ? rng_range(rng, 100, 2000) : rng_range(rng, 20, 200);
    }
}

/* Levels 1-2 one step, 3-4 two, 5-6 three; even levels have the larger numbers. */
static void draw_from(struct rng *rng, int level, struct exam_case *c, bool withheld)
{
    int64_t results[STEPS_MAX];
    do {
        c->pick = (int)rng_below(rng, ARRAY_LEN(stories));
    } while (plan_steps(stories[c->pick].plan) != (level + 1) / 2 || stories[c->pick].withheld != withheld);
    int tries = 0;
    do {
        for (int i = 0; stories[c->pick].sizes[i]; i++)
            c->n[i] = draw_size(rng, stories[c->pick].sizes[i], level % 2 == 0 && tries < DRAWS_MAX / 2);
        tries++;
    } while (!run_plan(c, NULL, NULL, results, false));
    c->key = case_key(stories[c->pick].plan, c->n, 5) + (uint64_t)c->pick;
}

static void draw_story(struct rng *rng, int level, struct exam_case *c)
{
    draw_from(rng, level, c, false);
}

static void draw_story_new(struct rng *rng, int level, struct exam_case *c)
{
    draw_from(rng, level, c, true);
    c->few = true; /* every case is held out: the template itself is */
}

struct cast {
    const char *first, *second, *thing, *other;
    bool girl;
    int64_t extra;
};

static struct cast draw_cast(struct rng *rng)
{
    struct cast k = { .girl = rng_below(rng, 2), .extra = rng_range(rng, 2, 40) };
    k.first = k.girl ? girls[rng_below(rng, ARRAY_LEN(girls))] : boys[rng_below(rng, ARRAY_LEN(boys))];
    do {
        k.second = rng_below(rng, 2) ? girls[rng_below(rng, ARRAY_LEN(girls))]
                                     : boys[rng_below(rng, ARRAY_LEN(boys))];
    } while (k.second == k.first);
    k.thing = things[rng_below(rng, ARRAY_LEN(things))];
    do {
        k.other = things[rng_below(rng, ARRAY_LEN(things))];
    } while (k.other == k.thing);
    return k;
}

static void put_slot(struct buf *out, struct str slot, const struct exam_case *c, const struct cast *k)
{
    if (slot.len == 1 && slot.ptr[0] >= 'a' && slot.ptr[0] <= 'e')
        buf_printf(out, "%lld", (long long)c->n[slot.ptr[0] - 'a']);
    else if (str_is(slot, "N"))
        buf_puts(out, k->first);
    else if (str_is(slot, "M"))
        buf_puts(out, k->second);
    else if (str_is(slot, "o"))
        buf_puts(out, k->thing);
    else if (str_is(slot, "q"))
        buf_puts(out, k->other);
    else if (str_is(slot, "he"))
        buf_puts(out, k->girl ? "she" : "he");
    else if (str_is(slot, "He"))
        buf_puts(out, k->girl ? "She" : "He");
    else if (str_is(slot, "he2"))
        buf_puts(out, k->girl ? "her" : "him");
    else if (str_is(slot, "his"))
        buf_puts(out, k->girl ? "her" : "his");
    else
        buf_printf(out, "%lld", (long long)k->extra);
}

static void put_story(struct buf *out, const char *text, const struct exam_case *c, const struct cast *k)
{
    while (*text) {
        if (*text != '{') {
            buf_putc(out, *text++);
            continue;
        }
        size_t len = str_find(str_from(text), STR("}"));
        put_slot(out, (struct str){ text + 1, len - 1 }, c, k);
        text += len + 1;
    }
}

static bool ask_story(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    const struct story *s = &stories[c->pick];
    struct cast k = draw_cast(t->rng);
    (void)withheld; /* whole templates are withheld, not wordings */
    if (rng_below(t->rng, 10) == 0)
        put_story(t->question, asides[rng_below(t->rng, ARRAY_LEN(asides))], c, &k);
    put_story(t->question, s->texts[rng_below(t->rng, s->texts[2] ? 3 : 2)], c, &k);
    return s->withheld;
}

static void solve_story(const struct exam_case *c, struct exam_text *t)
{
    int64_t results[STEPS_MAX];
    run_plan(c, t, t->trace, results, false);
    int64_t value = results[plan_steps(stories[c->pick].plan) - 1];
    buf_puts(t->recheck, "check\n");
    run_plan(c, t, t->recheck, results, true);
    buf_puts(t->recheck, "ok\n");
    answer_int(t, value);
}

const struct exam_family family_story = {
    .name = "story",
    .what = "word problems: 1-2 one step, 3-4 two, 5-6 three; larger numbers at even levels",
    .levels = 6,
    .draw = draw_story,
    .ask = ask_story,
    .solve = solve_story,
    .check = check_number,
};

const struct exam_family family_story_new = {
    .name = "story-new",
    .what = "word problems of templates that training never saw, levels as for story",
    .levels = 6,
    .exam_only = true,
    .draw = draw_story_new,
    .ask = ask_story,
    .solve = solve_story,
    .check = check_number,
};
