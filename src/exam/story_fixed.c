/*
 * story_fixed.c - stories whose facts belong together: areas, rates, ages, recipes, ratios, averages, profit.
 *
 * Each is a plan with a few tellings. They are one to five steps long, like most problems that people write.
 */
#include "exam/story_impl.h"

struct fixed {
    bool withheld;
    const char *sizes, *plan, *labels;
    const char *texts[4]; /* "facts|question" */
};

static const struct fixed stories[] = {
    /* areas and lengths */
    { false,
      "mm",
      "a*b",
      "area",
      { "A garden [is|was] {a} meters long and {b} meters wide.|What [is|was] its area in square meters?",
        "A wall [is|was] {a} feet wide and {b} feet high.|How many square feet [are|were] there to paint?",
        "The floor of a room [measures|measured] {a} by {b} meters.|How many square meters [is|was] "
        "that?" } },
    { false,
      "mm",
      "a+b 1*x",
      "long and short side|perimeter",
      { "A field [is|was] {a} meters long and {b} meters wide.|How many meters of fence [are|were] needed to "
        "go around it?",
        "A rectangle has sides of {a} cm and {b} cm.|What is its perimeter in cm?",
        "{N} [walks|walked] once around a park of {a} by {b} meters.|How many meters [does|did] {he} "
        "walk?" } },
    { false,
      "mms",
      "a+b 1*x 2*c",
      "long and short side|perimeter|{u} for the fence",
      { "A yard [is|was] {a} meters long and {b} meters wide. Fence [costs|cost] {$c} a meter.|How many {u} "
        "[does|did] a fence around the yard cost?" } },
    { false,
      "mms",
      "a*b 1*c",
      "area|{u} for the carpet",
      { "A room [is|was] {a} meters long and {b} meters wide. Carpet [costs|cost] {$c} a square meter.|What "
        "[does|did] the carpet cost in {u}?",
        "{N} [covers|covered] a floor of {a} by {b} feet with tiles at {$c} a square foot.|How many {u} "
        "[are|were] the tiles?" } },
    { false,
      "mmd",
      "a*b 1/c",
      "area|cans of paint",
      { "A wall [is|was] {a} feet long and {b} feet high. One can of paint [covers|covered] {c} square "
        "feet.|How many cans [does|did] {N} need?" } },
    { false,
      "s",
      "a*z",
      "perimeter",
      { "A square has sides of {a} cm.|What is its perimeter in cm?",
        "{N} [puts|put] a rope around a square table with sides of {a} feet.|How many feet of rope "
        "[does|did] {he} need?" } },
    { false,
      "s",
      "a*a",
      "area",
      { "A square room has sides of {a} meters.|What is its area in square meters?" } },
    { false,
      "sss",
      "a*b 1*c",
      "layer|blocks",
      { "A box holds {a} layers of {b} rows with {c} cubes each.|How many cubes does it hold?",
        "A pool is {a} meters long, {b} meters wide and {c} meters deep.|How many cubic meters does it "
        "hold?" } },
    { true,
      "mm",
      "a*b 1/x",
      "base times height|area",
      { "A triangle has a base of {a} cm and a height of {b} cm.|What is its area in square cm?" } },
    { true,
      "md",
      "a/b 1-b",
      "long side|difference of the sides",
      { "A rectangle has an area of {a} square meters, and its short side is {b} meters.|By how many meters "
        "is the other side longer?" } },

    /* rates */
    { false,
      "md",
      "a/b",
      "km per hour",
      { "{N} [drives|drove] {a} km in {b} hours.|How many km an hour [is|was] that?",
        "A train [covers|covered] {a} km in {b} hours.|What [is|was] its speed in km per hour?" } },
    { false,
      "mds",
      "a/b 1*c",
      "{u} for one|{u} for {c}",
      { "{b} {o} [cost|cost] {$a}.|How many {u} [do|did] {c} {o} cost?",
        "{N} [pays|paid] {$a} for {b} {o}.|How many {u} [are|were] {c} {o} at the same price?" } },
    { false,
      "mds",
      "a/b 1*c",
      "pages an hour|pages in {c} hours",
      { "{N} [reads|read] {a} pages in {b} hours.|How many pages [does|did] {he} read in {c} hours at this "
        "speed?",
        "{N} [types|typed] {a} lines in {b} minutes.|How many lines [can|could] {he} type in {c} "
        "minutes?" } },
    { false,
      "mdl",
      "a/b c/1",
      "{o} in a minute|minutes",
      { "A machine [makes|made] {a} {o} in {b} minutes.|How many minutes [does|did] it need for {c} {o}?" } },
    { false,
      "ss",
      "a*b",
      "hours of work",
      { "{a} workers [build|built] a wall in {b} days.|How many days [does|did] one worker need for it "
        "alone?" } },
    { false,
      "ssd",
      "a*b 1/c",
      "days of work|days",
      { "{a} workers [need|needed] {b} days for a job.|How many days [do|did] {c} workers need for it?" } },
    { false,
      "sss",
      "b+c a*1",
      "{o} of both in an hour|{o} in {a} hours",
      { "{N} [makes|made] {b} {o} an hour and {M} [makes|made] {c}.|How many {o} [do|did] they make together "
        "in {a} hours?",
        "In an hour, one machine [makes|made] {b} {o} and another [makes|made] {c}.|How many {o} [do|did] "
        "both make in {a} hours?" } },
    { false,
      "sss",
      "b+c a*1",
      "km apart in an hour|km apart",
      { "{N} and {M} [ride|rode] in opposite directions, at {b} and {c} km an hour.|How many km [are|were] "
        "they apart after {a} hours?" } },
    { true,
      "mss",
      "b+c a/1",
      "km closer in an hour|hours",
      { "{N} and {M} [live|lived] {a} km apart and [ride|rode] towards each other at {b} and {c} km an "
        "hour.|After how many hours [do|did] they meet?" } },
    { false,
      "smsm",
      "a*b c*d 1-2",
      "km of {N}|km of {M}|difference",
      { "{N} [drives|drove] {a} hours at {b} km an hour and {M} {c} hours at {d} km an hour.|How many km "
        "farther [does|did] {N} drive?",
        "{N} [works|worked] {a} hours for {$b} an hour, and {M} {c} hours for {$d} an hour.|How many {u} "
        "more [does|did] {N} earn?" } },
    { false,
      "sssm",
      "a*b 1*c 2/d",
      "{o} a day|{o} in all|{boxes}",
      { "{a} machines [make|made] {b} {o} a day each for {c} days. The {o} [are|were] packed in {boxes} of "
        "{d}.|How many {boxes} [are|were] needed?" } },
    { true,
      "sms",
      "a*b 1+c",
      "{u} for the km|{u} for the ride",
      { "A taxi [costs|cost] {$c} plus {$b} for each km.|How many {u} [is|was] a ride of {a} km?" } },
    { true,
      "mss",
      "a-b 1/c",
      "{u} for the hours|hours",
      { "Renting a boat [costs|cost] {$b} plus {$c} an hour. {N} [pays|paid] {$a}.|For how many hours "
        "[does|did] {he} rent it?" } },

    /* ages */
    { false,
      "ms",
      "a+b",
      "age in {b} years",
      { "{N} is {a} years old.|How old will {he} be in {b} years?",
        "{N} is {a} now.|What will {his} age be after {b} years?" } },
    { false, "ms", "a-b", "age {b} years ago", { "{N} is {a} years old.|How old was {he} {b} years ago?" } },
    { false,
      "sqs",
      "a*b 1+c",
      "age of {M}|age in {c} years",
      { "{N} is {a} years old. {M} is {xb} as old.|How old will {M} be in {c} years?",
        "{M} is {xb} as old as {N}, who is {a}.|What will be {M}'s age in {c} years?" } },
    { false,
      "mss",
      "a-b 1+c",
      "age of {M}|age in {c} years",
      { "{N} is {a} years old. {M} is {b} years younger.|How old will {M} be in {c} years?" } },
    { false,
      "sss",
      "a+b 1+a 2+c 3+c",
      "age of {M}|sum of ages now|after {N}'s years|after {M}'s years",
      { "{N} is {a} and {M} is {b} years older.|What will be the sum of their ages in {c} years?" } },
    { true,
      "sqs",
      "a*b 1-c",
      "age of {M}|age {c} years ago",
      { "{M} is {xb} as old as {N}. {N} is {a}.|How old was {M} {c} years ago?" } },

    /* money */
    { false,
      "smr",
      "b-c a*1",
      "profit on one|profit",
      { "{N} [buys|bought] {o} for {$c} each and [sells|sold] them for {$b} each.|What [is|was] {his} profit "
        "in {u} on {a} {o}?",
        "A {shop} [sells|sold] {a} {o} for {$b} each. Each one [costs|cost] the {shop} {$c}.|How many {u} "
        "[does|did] it gain?" } },
    { false,
      "srl",
      "a*b c-1",
      "{u} spent|profit",
      { "{N} [spends|spent] {$b} on each of {a} {o} and [sells|sold] all of them together for {$c}.|How many "
        "{u} [does|did] {he} gain?" } },
    { false,
      "un",
      "a*b 1/C",
      "{b} times the price|discount",
      { "{ai} [costs|cost] {$a}. In a sale it [is|was] {b}% cheaper.|How many {u} [does|did] one save?" } },
    { false,
      "un",
      "a*b 1/C a-2",
      "{b} times the price|discount|new price",
      { "{ai} [costs|cost] {$a}. In a sale it [is|was] {b}% off.|What [is|was] the new price in {u}?",
        "The price of {ai}, {$a}, [falls|fell] by {b}%.|How many {u} [does|did] it cost now?" } },
    { false,
      "un",
      "a*b 1/C a+2",
      "{b} times the price|tax|price with tax",
      { "{ai} [costs|cost] {$a} before a tax of {b}%.|How many {u} [is|was] it with the tax?",
        "{N}'s pay of {$a} a week [rises|rose] by {b}%.|How many {u} a week [is|was] it then?" } },
    { false,
      "srsr",
      "a*b c*d 1+2",
      "{u} for adults|{u} for children|{u} in all",
      { "{a} adults [pay|paid] {$b} each and {c} children {$d} each for a show.|How many {u} [do|did] they "
        "pay in all?",
        "Tickets [cost|cost] {$b} for adults and {$d} for children.|How many {u} [do|did] {a} adults and {c} "
        "children pay?" } },
    { false,
      "srsr",
      "a*b c*d 1-2",
      "{u} for the {o}|{u} for the {q}|difference",
      { "{a} {o} [cost|cost] {$b} each, and {c} {q} [cost|cost] {$d} each.|How many {u} more [are|were] the "
        "{o} in all?" } },
    { false,
      "rrs",
      "a+b 1*c",
      "{u} for one set|{u} for all",
      { "{ai} [costs|cost] {$a} and {aj} {$b}. {N} [buys|bought] {c} of each.|How many {u} [does|did] {he} "
        "pay?",
        "A sandwich [costs|cost] {$a} and a juice {$b}.|How many {u} [are|were] {c} sandwiches and {c} "
        "juices?" } },
    { false,
      "rss",
      "a*b 1*c",
      "{u} a week|{u} in {c} weeks",
      { "{N} [buys|bought] {b} coffees a week for {$a} each.|How many {u} [does|did] {he} spend on them in "
        "{c} weeks?",
        "{N} [gives|gave] {b} piano lessons a week at {$a} each.|How many {u} [does|did] {he} earn in {c} "
        "weeks?" } },
    { false,
      "rs",
      "a*D 1*b",
      "{u} a year|{u} in {b} years",
      { "A newspaper [costs|cost] {$a} a month.|How many {u} [is|was] that in {b} years?",
        "{N} [saves|saved] {$a} a month.|How many {u} [does|did] {he} save in {b} years?" } },
    { false,
      "lms",
      "a-b 1/c",
      "rest of the price|{u} a month",
      { "{ai} [costs|cost] {$a}. {N} [pays|paid] {$b} at once and the rest in {c} equal monthly parts.|How "
        "many {u} a month [is|was] that?" } },
    { false,
      "lmm",
      "a+b 1/c",
      "{u} together|{u} each",
      { "{N} [earns|earned] {$a} and {M} {$b}. They [share|shared] the money with others, {c} people in "
        "all.|How many {u} [does|did] each get?" } },
    { false,
      "srs",
      "a*b b*x c*2 1+3",
      "{u} for normal hours|{u} for an extra hour|{u} for extra hours|{u} in all",
      { "{N} [earns|earned] {$b} an hour, and twice as much for extra hours. {he} [works|worked] {a} normal "
        "and {c} extra hours.|How many {u} [does|did] {he} earn?" } },
    { true,
      "mrsr",
      "a*b c*d 1+2",
      "{u} for the {o}|{u} for the {q}|{u} for a day",
      { "A stall [sells|sold] {a} cups of tea for {$b} each and {c} cups of soup for {$d} each in a day.|How "
        "many {u} [does|did] it take in?" } },
    { true,
      "rsl",
      "a*b c-1",
      "{u} saved|{u} still needed",
      { "{N} [puts|put] aside {$a} a week for {b} weeks. {he} [wants|wanted] a trip that [costs|cost] "
        "{$c}.|How many {u} [are|were] missing?" } },
    { true,
      "lsr",
      "a-c 1/b",
      "{u} for the tickets|{u} for one ticket",
      { "A family [pays|paid] {$a} for {b} tickets and a program. The program [costs|cost] {$c}.|What "
        "[does|did] one ticket cost in {u}?" } },

    /* animals, wheels, seats */
    { false,
      "ss",
      "a*z b*x 1+2",
      "legs of the cows|legs of the hens|legs in all",
      { "A farm [has|had] {a} cows and {b} hens.|How many legs [do|did] the animals have together?",
        "There [are|were] {a} dogs and {b} birds in a house.|How many legs [is|was] that?" } },
    { false,
      "ss",
      "a*z b*x 1+2",
      "wheels of the cars|wheels of the bikes|wheels in all",
      { "There [are|were] {a} cars and {b} bikes in a yard.|How many wheels [do|did] they have in all?" } },
    { false,
      "sss",
      "a*b 1+c",
      "seats at the tables|seats in all",
      { "A hall [has|had] {a} tables with {b} chairs each and {c} more chairs at the wall.|How many chairs "
        "[are|were] there?" } },
    { false,
      "sss",
      "a*b 1-c",
      "players|players who can play",
      { "There [are|were] {a} teams of {b} players, and {c} players [are|were] ill.|How many players "
        "[can|could] play?" } },
    { false,
      "mmss",
      "a+b 1/c 2*d",
      "children|children in a team|children who play",
      { "{a} boys and {b} girls [form|formed] {c} equal teams, and {d} of the teams [play|played].|How many "
        "children [play|played]?" } },
    { true,
      "sm",
      "a*z b-1 2/x",
      "legs of the cows|legs of the hens|hens",
      { "On a farm the cows and hens [have|had] {b} legs in all. {a} of the animals [are|were] cows.|How "
        "many hens [are|were] there?" } },

    /* days and weeks */
    { false,
      "ss",
      "a*W 1*b",
      "in one week|in {b} weeks",
      { "{N} [drinks|drank] {a} glasses of water a day.|How many glasses [is|was] that in {b} weeks?",
        "{N} [runs|ran] {a} km every day.|How many km [does|did] {he} run in {b} weeks?",
        "A hen [lays|laid] {a} eggs a day.|How many eggs [is|was] that in {b} weeks?" } },
    { false,
      "sss",
      "a*b 1*c",
      "hours a week|hours in {c} weeks",
      { "{N} [practices|practiced] {a} hours a day, {b} days a week.|How many hours [is|was] that in {c} "
        "weeks?" } },
    { false,
      "sss",
      "a*b 1*W 2*c",
      "glasses a day|glasses a week|glasses in {c} weeks",
      { "{a} people [drink|drank] {b} glasses of milk a day each.|How many glasses [is|was] that in {c} "
        "weeks?" } },
    { false,
      "mmm",
      "a+b 1+c",
      "first two|all three",
      { "{N} scored {a}, {b} and {c} points in three games.|How many points is that in total?",
        "On three days {N} sold {a}, {b} and {c} {o}.|How many {o} did {he} sell in all?" } },
    { false,
      "mmm",
      "a+b 1+c 2/y",
      "first two|all three|average",
      { "In three games {N} scored {a}, {b} and {c} points.|What was {his} average?",
        "{N} ran {a}, {b} and {c} km on three days.|How many km a day is that on average?" } },
    { false,
      "mm",
      "a+b 1/x",
      "both|average",
      { "{N} got {a} points in one test and {b} in another.|What was {his} average?" } },
    { true,
      "mmmm",
      "a+b 1+c 2+d 3/z",
      "first two|first three|all four|average",
      { "In four weeks {N} saved {a}, {b}, {c} and {d} {u}.|What was the average per week?" } },
    { true,
      "smm",
      "a*b 1-c",
      "points needed|points on the last day",
      { "{N} [wants|wanted] an average of {b} points over {a} days. On all days but the last, {he} [has|had] "
        "{c} points in all.|How many points [does|did] {he} need on the last day?" } },

    /* recipes, ratios, parts */
    { false,
      "ss",
      "a*b",
      "cups",
      { "A recipe for one cake [needs|needed] {a} cups of flour.|How many cups [are|were] needed for {b} "
        "cakes?" } },
    { false,
      "mds",
      "a/b 1*c",
      "grams for one|grams for {c}",
      { "A recipe for {b} people [needs|needed] {a} grams of rice.|How many grams [are|were] needed for {c} "
        "people?" } },
    { false,
      "lss",
      "b+c a/1 2*b",
      "parts|one part|{M}'s {o}",
      { "{M} and {K} [share|shared] {a} {o} in the ratio {b} to {c}.|How many {o} [does|did] {M} get?",
        "{a} {o} [are|were] divided between {M} and {K} in the ratio of {b} to {c}.|How many {o} [are|were] "
        "{M}'s?" } },
    { false,
      "lk",
      "a/b a-1",
      "{fb} of the {o}|the others",
      { "A {box} [holds|held] {a} {o}. {fb} of them [are|were] red and the others white.|How many [are|were] "
        "white?",
        "Of {a} students, {fb} [go|went] by bus. The others [walk|walked].|How many students "
        "[walk|walked]?" } },
    { false,
      "lkm",
      "a/b 1+c",
      "{fb} of the {o}|{o} now",
      { "{N} [gets|got] {fb} of {a} {o} and then {c} more.|How many {o} [does|did] {he} have?" } },
    { false,
      "ln",
      "a*b 1/C",
      "{b} times the {o}|{b}% of them",
      { "{b}% of {a} students [are|were] girls.|How many girls [are|were] there?",
        "{N} [has|had] {a} {o}, and {b}% of them [are|were] blue.|How many {o} [are|were] blue?" } },
    { false,
      "ln",
      "a*b 1/C a-2",
      "{b} times the students|{b}% of them|the others",
      { "{b}% of {a} students [are|were] girls.|How many boys [are|were] there?",
        "Of {a} {o}, {b}% [are|were] broken.|How many {o} [are|were] whole?" } },
    { false,
      "lkk",
      "a/b 1/c",
      "{fb} of the {o}|{fc} of those",
      { "A {shop} [has|had] {a} {o}. {fb} of them [are|were] red, and {fc} of the red ones [are|were] "
        "big.|How many {o} [are|were] big and red?" } },
    { true,
      "lkk",
      "a/b a/c 1+2 a-3",
      "{fb} of them|{fc} of them|both parts|the rest",
      { "{fb} of {a} {o} [are|were] red, {fc} [are|were] blue, and the others [are|were] green.|How many "
        "[are|were] green?" } },
    { true,
      "lss",
      "b+c a/1 2*c 2*b 3-4",
      "parts|one part|{K}'s {o}|{M}'s {o}|difference",
      { "{M} and {K} [share|shared] {a} {o} in the ratio {b} to {c}.|How many more {o} [does|did] {K} "
        "get?" } },
    { true,
      "mq",
      "a*b a+1 2*x",
      "{o} of {M}|{o} of both|{o} of all",
      { "{N} [has|had] {a} {o} and {M} {xb} as many. A third friend [has|had] twice as many as both "
        "together.|How many {o} [does|did] the third friend have?" } },

    /* units */
    { false,
      "s",
      "a*H",
      "minutes",
      { "A film [takes|took] {a} hours.|How many minutes [is|was] that?",
        "{N} [sleeps|slept] for {a} hours.|For how many minutes [does|did] {he} sleep?" } },
    { false,
      "sm",
      "a*H 1+b",
      "minutes in {a} hours|minutes in all",
      { "A flight [takes|took] {a} hours and {b} minutes.|How many minutes [is|was] that?",
        "{N} [works|worked] for {a} hours and {b} minutes.|How many minutes [does|did] {he} work?" } },
    { false,
      "sm",
      "a*D 1+b",
      "inches in {a} feet|inches in all",
      { "A board is {a} feet and {b} inches long.|How many inches is that, with 12 inches to a foot?",
        "A foot has 12 inches, and {N}'s rope is {a} feet and {b} inches long.|How many inches is it?" } },
    { false,
      "sm",
      "a*C 1-b",
      "cm|cm left",
      { "{N} [has|had] a ribbon of {a} meters and [cuts|cut] off {b} cm.|How many cm [are|were] left?" } },
    { false,
      "sl",
      "a*K 1-b",
      "grams|grams left",
      { "A {shop} [has|had] {a} kg of sugar and [sells|sold] {b} grams.|How many grams [are|were] left?",
        "From a bag of {a} kg of rice, {N} [takes|took] {b} grams.|How many grams [remain|remained]?" } },
    { false,
      "ss",
      "a*K 1/b",
      "milliliters|milliliters in a glass",
      { "{N} [pours|poured] {a} liters of juice into {b} equal glasses.|How many milliliters [are|were] in "
        "each glass?" } },
    { false,
      "sd",
      "a*C 1/b",
      "cm|pieces",
      { "{N} [cuts|cut] a rope of {a} meters into pieces of {b} cm.|How many pieces [are|were] there?" } },
    { true,
      "s",
      "a*T",
      "hours",
      { "The sale [lasts|lasted] {a} days without a pause.|For how many hours [is|was] the {shop} open?" } },
    { true,
      "sss",
      "a*b 1/D",
      "{o} in all|dozens",
      { "{N} [gets|got] {a} {boxes} of {b} {o}.|How many dozen {o} [is|was] that?" } },

    /* farms, shops, schools */
    { false,
      "sss",
      "a*b 1*c",
      "trees|{o} in all",
      { "A farmer [has|had] {a} rows of {b} trees, and each tree [gives|gave] {c} kg of fruit.|How many kg "
        "of fruit [is|was] that?",
        "A school [has|had] {a} classes with {b} children, and each child [brings|brought] {c} {o}.|How many "
        "{o} [is|was] that?" } },
    { false,
      "ssm",
      "a*b 1-c 2/x",
      "{o} in all|{o} left|{o} each",
      { "{N} and {M} [bake|baked] {a} trays of {b} cakes and [sell|sold] {c}. They [share|shared] the rest "
        "equally.|How many cakes [does|did] each of the two get?" } },
    { false,
      "ssss",
      "a*b 1-c 2/d",
      "{o} in all|{o} left|{o} each",
      { "{N} [has|had] {a} packs of {b} {o}, [gives|gave] {c} to {his} {kin} and [shares|shared] the rest "
        "equally among {d} friends.|How many {o} [does|did] each friend get?",
        "There [are|were] {a} {boxes} of {b} {o}. {c} {o} [are|were] broken, and the others [are|were] put "
        "on {d} plates equally.|How many {o} [are|were] on each plate?" } },
    { false,
      "mmss",
      "a+b 1*c 2-d",
      "{o} a day|{o} in {c} days|{o} left",
      { "Each day {N} [makes|made] {a} {o} and {M} {b}. After {c} days, {d} of the {o} [are|were] sold.|How "
        "many {o} [are|were] left?" } },
    { false,
      "msss",
      "a-b 1*c 2+d",
      "{u} saved a day|{u} in {c} days|{u} in all",
      { "{N} [earns|earned] {$a} a day and [spends|spent] {$b} a day. After {c} days {he} [gets|got] {$d} "
        "more.|How many {u} [has|had] {he} saved?",
        "Every week {N} [gets|got] {$a} and [spends|spent] {$b}.|After {c} weeks and a gift of {$d}, how "
        "many {u} [does|did] {he} have?" } },
    { false,
      "mss",
      "a*b 1+a 2-c",
      "{o} of {M}|{o} of both|{o} left",
      { "{N} [has|had] {a} {o}. {M} [has|had] {xb} as many. Together they [give|gave] away {c} {o}.|How many "
        "{o} [are|were] left?",
        "{M} [makes|made] {xb} as many {o} as {N}, who [makes|made] {a}. They [sell|sold] {c} of them.|How "
        "many {o} [remain|remained]?" } },
    { false,
      "lssm",
      "b*c a-1 2-d",
      "{o} for the people|{o} after that|{o} left",
      { "A {shop} [has|had] {a} {o}. {b} people [buy|bought] {c} {o} each, and one person [buys|bought] "
        "{d}.|How many {o} [are|were] left?" } },
    { false,
      "smqsm",
      "a*b c*d 1+2 3-e",
      "{o} of {N}|{o} of {M}|{o} of both|{o} left",
      { "{N} [has|had] {a} {boxes} of {b} {o} and {M} {c} {boxes} of {d}. They [give|gave] {e} {o} away.|How "
        "many {o} [do|did] they have left?" } },
    { false,
      "lkqm",
      "a/b 1*c a-2",
      "{o} in one part|{o} in {c} parts|{o} left",
      { "{N} [splits|split] {a} {o} into {b} equal parts and [sells|sold] {c} of the parts.|How many {o} "
        "[are|were] left?" } },
    { true,
      "mms",
      "b-a 1/c",
      "liters missing|minutes",
      { "A tank [holds|held] {b} liters and [has|had] {a} liters in it. A pump [adds|added] {c} liters a "
        "minute.|After how many minutes [is|was] the tank full?" } },
    { true,
      "mss",
      "a*b 1/x 2+c",
      "{o} in all|half of them|{o} now",
      { "A school [orders|ordered] {b} crates of {a} {o} and [uses|used] half. Later {c} more "
        "[arrive|arrived].|How many {o} [does|did] the school have?" } },
    { true,
      "ssms",
      "a*b 1+c 2/d",
      "{o} in the {boxes}|{o} in all|children",
      { "{N} [has|had] {a} {boxes} of {b} {o} and {c} single ones, and [gives|gave] {d} {o} to every child "
        "who [comes|came] until none [are|were] left.|How many children [get|got] {o}?" } },
};

static bool draw_fixed(struct rng *rng, struct story *s, int steps, bool withheld)
{
    int running = STORY_NOTHING, pick = (int)rng_below(rng, ARRAY_LEN(stories));
    const struct fixed *f = &stories[pick];
    if (f->withheld != withheld || story_plan_steps(f->plan) != steps)
        return false;
    struct story_part *p = &s->parts[s->parts_len++];
    *p = (struct story_part){ (short)pick, 0, 1, 2 };
    s->withheld = withheld;
    for (const char *size = f->sizes; *size; size++) {
        /* what depends on an earlier number depends on the first */
        const char one[] = { *size, 0 };
        if (!story_draw_sizes(rng, s, one, s->n_len ? s->n[0] : 0))
            return false;
    }
    return story_plan(s, f->plan, f->labels, p, &running);
}

static void tell_fixed(const struct story *s, struct rng *rng, struct buf *facts, struct buf *ask)
{
    const struct fixed *f = &stories[s->parts[0].clause];
    size_t count = 0;
    while (count < ARRAY_LEN(f->texts) && f->texts[count])
        count++;
    const char *text = f->texts[rng_below(rng, count)];
    story_say(s, rng, &s->parts[0], facts, text);
    buf_putc(facts, '\n');
    story_say(s, rng, &s->parts[0], ask, part_at(text, 1));
}

const struct story_genre story_fixed = { "fixed", 1, 5, 8, draw_fixed, tell_fixed };
