/*
 * kv_tree.c - which stored pages begin with which tokens: a radix tree, one node for each page.
 *
 * A node has the number of its page, so the table of nodes is as long as the pool and nothing is allocated.
 * The children of a node are the nodes of a treap in the order of their tokens (Seidel and Aragon,
 * "Randomized Search Trees", 1996, with a mix of the page's number as the priority): of all siblings the one
 * that shares the longest beginning with a text stands next to the text's own place in that order, so one
 * descent finds it, exact match or not, in O(log siblings) comparisons. Salts come before tokens in that order, so texts of different
 * salts share nothing, and each salt has a tree of its own under the root.
 *
 * Invariants: - No node's tokens are the beginning of a sibling's: kv.c replaces the shorter by the longer.
 *               So a text is covered by at most one child, and covers at most one.
 *             - A sequence that holds a node's page holds those of all its ancestors. It lets go of the
 *               deepest first, so in the list of kept pages every node stands behind its descendants and the
 *               oldest is always a leaf: giving up the least recently used is taking the head, O(1). The
 *               order of the list is the order of last uses; no clock is asked.
 *
 * Threads: the engine's. Ownership: the pool owns the nodes; refs are kv.c's business.
 */
#include "model/model_impl.h"

#include <assert.h>
#include <string.h>

void kv_tree_init(struct kv_tree *t, struct kv_node *nodes)
{
    *t = (struct kv_tree){
        .nodes = nodes, .children = KV_NO_PAGE, .oldest = KV_NO_PAGE, .newest = KV_NO_PAGE
    };
}

/* --- siblings in order ---------------------------------------------------------------------------------- */

static uint32_t priority(uint32_t page)
{
    uint32_t x = page + 1; /* the finishing mix of MurmurHash3: a bijection, so no two are equal */
    x = (x ^ x >> 16) * 0x85ebca6b;
    x = (x ^ x >> 13) * 0xc2b2ae35;
    return x ^ x >> 16;
}

/* How many tokens agree, none of another salt's. *order: the sign of (salt, tokens) - (the node's), a beginning before what
 * continues it. */
static int64_t compare(const struct kv_node *node, uint64_t salt, const int32_t *tokens, int64_t n,
                       int *order)
{
    if (salt != node->salt) {
        *order = salt < node->salt ? -1 : 1;
        return 0;
    }
    int64_t shorter = n < node->n_tokens ? n : node->n_tokens, i = 0;
    while (i < shorter && tokens[i] == node->tokens[i])
        i++;
    if (i < shorter)
        *order = tokens[i] < node->tokens[i] ? -1 : 1;
    else
        *order = (n > node->n_tokens) - (n < node->n_tokens);
    return i;
}

static uint32_t *children_of(struct kv_tree *t, uint32_t parent)
{
    return parent == KV_NO_PAGE ? &t->children : &t->nodes[parent].children;
}

struct kv_found kv_tree_find(const struct kv_tree *t, uint32_t parent, uint64_t salt, const int32_t *tokens,
                             int64_t n)
{
    assert(n >= 0 && n <= KV_PAGE_TOKENS);
    struct kv_found before = { KV_NO_PAGE, 0 }, after = before; /* the nearest on either side */
    uint32_t at = parent == KV_NO_PAGE ? t->children : t->nodes[parent].children;
    while (at != KV_NO_PAGE) {
        int order;
        struct kv_found here = { at, compare(&t->nodes[at], salt, tokens, n, &order) };
        if (order >= 0)
            before = here, at = t->nodes[at].right;
        else
            after = here, at = t->nodes[at].left;
    }
    struct kv_found best = before.n >= after.n ? before : after;
    return best.n > 0 ? best : (struct kv_found){ KV_NO_PAGE, 0 };
}

/* Puts page into the treap at *top: down to where its priority belongs, then splits what is below in two. */
static void sibling_add(struct kv_tree *t, uint32_t *top, uint32_t page)
{
    struct kv_node *node = &t->nodes[page];
    uint32_t *link = top;
    int order;
    while (*link != KV_NO_PAGE && priority(*link) > priority(page)) {
        struct kv_node *at = &t->nodes[*link];
        compare(at, node->salt, node->tokens, node->n_tokens, &order);
        link = order < 0 ? &at->left : &at->right;
    }
    uint32_t rest = *link, *left = &node->left, *right = &node->right;
    *link = page;
    while (rest != KV_NO_PAGE) {
        struct kv_node *at = &t->nodes[rest];
        compare(at, node->salt, node->tokens, node->n_tokens, &order);
        if (order < 0) {
            *right = rest;
            right = &at->left;
            rest = *right;
        } else {
            *left = rest;
            left = &at->right;
            rest = *left;
        }
    }
    *left = *right = KV_NO_PAGE;
}

/* Takes node out: its two subtrees, one wholly before the other, are merged in its place. */
static void sibling_remove(struct kv_tree *t, uint32_t *top, uint32_t page)
{
    const struct kv_node *node = &t->nodes[page];
    uint32_t *link = top, left = node->left, right = node->right;
    while (*link != page) {
        int order;
        struct kv_node *at = &t->nodes[*link];
        compare(at, node->salt, node->tokens, node->n_tokens, &order);
        link = order < 0 ? &at->left : &at->right;
    }
    while (left != KV_NO_PAGE && right != KV_NO_PAGE) {
        if (priority(left) > priority(right)) {
            *link = left;
            link = &t->nodes[left].right;
            left = *link;
        } else {
            *link = right;
            link = &t->nodes[right].left;
            right = *link;
        }
    }
    *link = left != KV_NO_PAGE ? left : right;
}

/* --- nodes ---------------------------------------------------------------------------------------------- */

void kv_tree_insert(struct kv_tree *t, uint32_t parent, uint64_t salt, const int32_t *tokens, int64_t n,
                    uint32_t page)
{
    struct kv_node *node = &t->nodes[page];
    assert(n > 0 && n <= KV_PAGE_TOKENS);
    assert(node->n_tokens == 0);
    assert(parent == KV_NO_PAGE ||
           (t->nodes[parent].n_tokens == KV_PAGE_TOKENS && t->nodes[parent].salt == salt));
    *node = (struct kv_node){ .salt = salt,
                              .parent = parent,
                              .children = KV_NO_PAGE,
                              .left = KV_NO_PAGE,
                              .right = KV_NO_PAGE,
                              .older = KV_NO_PAGE,
                              .newer = KV_NO_PAGE,
                              .n_tokens = (uint32_t)n };
    memcpy(node->tokens, tokens, (size_t)n * sizeof *tokens);
    sibling_add(t, children_of(t, parent), page);
}

void kv_tree_remove(struct kv_tree *t, uint32_t page)
{
    struct kv_node *node = &t->nodes[page];
    assert(node->n_tokens > 0 && node->kept);
    assert(node->children == KV_NO_PAGE);
    kv_tree_hold(t, page);
    sibling_remove(t, children_of(t, node->parent), page);
    node->n_tokens = 0;
}

/* --- the list of kept pages ----------------------------------------------------------------------------- */

void kv_tree_keep(struct kv_tree *t, uint32_t page)
{
    struct kv_node *node = &t->nodes[page];
    assert(node->n_tokens > 0 && !node->kept);
    node->kept = true;
    node->older = t->newest;
    node->newer = KV_NO_PAGE;
    *(t->newest == KV_NO_PAGE ? &t->oldest : &t->nodes[t->newest].newer) = page;
    t->newest = page;
    t->n_kept++;
}

void kv_tree_hold(struct kv_tree *t, uint32_t page)
{
    struct kv_node *node = &t->nodes[page];
    assert(node->kept);
    *(node->older == KV_NO_PAGE ? &t->oldest : &t->nodes[node->older].newer) = node->newer;
    *(node->newer == KV_NO_PAGE ? &t->newest : &t->nodes[node->newer].older) = node->older;
    node->kept = false;
    t->n_kept--;
}
