/*
 * stop.c - when a vote is settled.
 *
 * Two rules, after each counted line, in whole numbers:
 *
 *   lead       the leader is further ahead than the lines that are left could bring the second: nothing is lost by
 *              leaving them out
 *   agreement  were the two leading answers equally likely to be drawn, so clear a lead would be a rare accident:
 *              P(Beta(a+1, b+1) > 1/2) >= C, the rule of Adaptive-Consistency (arXiv 2305.11860)
 *
 * The Beta tail is a binomial one: P(Beta(a+1, b+1) > 1/2) = P(Bin(a+b+1, 1/2) <= a), and what is missing to 1 is the
 * sum of C(a+b+1, k) for k <= b, over 2^(a+b+1). With at most TIER_BRANCHES_MAX votes both sides fit 128 bits, so nothing
 * is rounded.
 *
 * With no line left neither is a reason to stop, but the agreement is worth saying.
 *
 * Where votes weigh by confidence the first rule says nothing, since a late vote may weigh more than an early one.
 *
 * Threads: no state.
 */
#include "reason/reason_impl.h"

#include <assert.h>

const char *const stop_names[] = { NULL,       "lead",      "agreement", "budget",
                                   "deadline", "cancelled", "lines_max", "open_ended",
                                   "failed",   "accepted",  NULL };

__extension__ typedef unsigned __int128 u128;

/* Sum of C(n, k) for k <= most. */
static u128 ways_up_to(int n, int most)
{
    u128 term = 1, sum = 1;
    for (int k = 1; k <= most; k++) {
        term = term * (u128)(n - k + 1) / (u128)k; /* exact: C(n, k) is whole */
        sum += term;
    }
    return sum;
}

static bool is_sure(int agreement, int a, int b)
{
    int n = a + b + 1;
    return ways_up_to(n, b) * 100 <= ((u128)1 << n) * (u128)(100 - agreement);
}

int stop_votes_needed(int agreement, int b)
{
    assert(agreement >= 50 && agreement < 100 && b >= 0 && b <= TIER_BRANCHES_MAX);
    int a = b + 1;
    while (a + b <= TIER_BRANCHES_MAX && !is_sure(agreement, a, b))
        a++;
    return a + b <= TIER_BRANCHES_MAX ? a : TIER_BRANCHES_MAX + 1;
}

enum stop stop_rule(const struct plan_lines *plan, const struct votes *v, int left)
{
    if (v->n == 0)
        return STOP_NONE;
    int first = v->options[0].weight, second = v->n > 1 ? v->options[1].weight : 0;
    if (left > 0 && plan->vote == VOTE_MAJORITY && first - second > left * VOTE_UNIT)
        return STOP_LEAD;
    /* Part of a vote is none for the leader and a whole one against it. */
    int a = first / VOTE_UNIT, b = (second + VOTE_UNIT - 1) / VOTE_UNIT;
    if (v->counted >= plan->min && a >= stop_votes_needed(plan->agreement, b))
        return STOP_AGREEMENT;
    return STOP_NONE;
}
