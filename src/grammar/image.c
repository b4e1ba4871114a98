/*
 * image.c - strings as JSON writes them.
 *
 * Each character has one spelling, and no spelling begins another, so the image of an intersection is the intersection of images, and
 * of a complement the images of all texts without those that are taken out. So a pattern with a maxLength stays what it was and its
 * lengths still count characters, however they are escaped.
 *
 * Where there is an intersection or a complement in it, the set needs an automaton anyway. Then it is left as it is, and its automaton reads spelled
 * characters (dfa.c): its alphabet is the set's own, three classes perhaps, and not all the letters that escapes are made of.
 */
#include "grammar/node_impl.h"

#include <assert.h>
#include <string.h>

static const char shorts[] = "\b\f\n\r\t\"\\";
static const char letters[] = "bfnrt\"\\";

size_t json_spell(uint32_t c, char out[8])
{
    const char *at = c && c < 0x80 ? strchr(shorts, (int)c) : NULL;
    if (at) {
        out[0] = '\\';
        out[1] = letters[at - shorts];
        return 2;
    }
    if (c >= 0x20)
        return utf8_encode(c, out);
    memcpy(out, "\\u00", 4);
    out[4] = (char)('0' + (c >> 4));
    out[5] = "0123456789abcdef"[c & 15];
    return 6;
}

static const struct node *image_of_text(struct builder *b, struct str text)
{
    struct buf out = { 0 };
    char spelled[8];
    uint32_t c;
    for (size_t used; text.len && (used = utf8_decode(text, &c)); text = str_slice(text, used, text.len))
        buf_put(&out, spelled, json_spell(c, spelled));
    const struct node *x = node_text(b, buf_str(&out));
    buf_free(&out);
    return x;
}

/* What is behind `prefix` in the spellings of the class that begin with it and have one character more. */
static const struct node *escapes(struct builder *b, const struct node *class, const char *prefix)
{
    struct char_range last[0x80];
    size_t n = 0, len = strlen(prefix);
    char spelled[8];
    for (uint32_t c = 0; c < 0x80; c++) {
        size_t used = json_spell(c, spelled);
        if (used == len + 1 && memcmp(spelled, prefix, len) == 0 &&
            ranges_hold(class->set.ranges, class->set.n, c))
            last[n++] = (struct char_range){ (unsigned char)spelled[len], (unsigned char)spelled[len] };
    }
    const struct node *parts[] = { node_text(b, str_from(prefix)), node_class(b, last, n) };
    return node_seq(b, parts, 2);
}

static const struct node *image_of_class(struct builder *b, const struct node *x)
{
    size_t n = 0;
    struct char_range *plain = mem_array(3 * x->set.n, sizeof *plain);
    for (size_t i = 0; i < x->set.n; i++) { /* cut at the two that are escaped above U+001F */
        static const uint32_t holes[] = { '"', '\\', CHAR_LAST + 1 };
        uint32_t first = x->set.ranges[i].first < 0x20 ? 0x20 : x->set.ranges[i].first;
        for (size_t h = 0; h < ARRAY_LEN(holes) && first <= x->set.ranges[i].last; h++) {
            uint32_t last = x->set.ranges[i].last < holes[h] ? x->set.ranges[i].last : holes[h] - 1;
            if (first > holes[h])
                continue;
            if (first <= last)
                plain[n++] = (struct char_range){ first, last };
            first = holes[h] + 1;
        }
    }
    const struct node *parts[] = { node_class(b, plain, n), escapes(b, x, "\\"), escapes(b, x, "\\u000"),
                                   escapes(b, x, "\\u001") };
    mem_free(plain);
    return node_or(b, parts, ARRAY_LEN(parts));
}

static const struct node *image(struct builder *b, const struct node *x);

static const struct node *image_of_parts(struct builder *b, const struct node *x)
{
    const struct node **parts = mem_array(x->many.n, sizeof *parts), *y;
    for (size_t i = 0; i < x->many.n; i++)
        parts[i] = image(b, x->many.parts[i]);
    y = parts[0];
    if (x->kind == NODE_OR)
        y = node_or(b, parts, x->many.n);
    for (size_t i = 1; x->kind == NODE_AND && i < x->many.n; i++)
        y = node_and(b, y, parts[i]);
    mem_free(parts);
    return y;
}

static const struct node *image_of_seq(struct builder *b, const struct node *x)
{
    size_t n = 1, i = 0;
    for (const struct node *y = x; y->kind == NODE_SEQ; y = y->seq.tail)
        n++;
    const struct node **parts = mem_array(n, sizeof *parts);
    for (; x->kind == NODE_SEQ; x = x->seq.tail)
        parts[i++] = image(b, x->seq.head);
    parts[i] = image(b, x);
    const struct node *y = node_seq(b, parts, n);
    mem_free(parts);
    return y;
}

static const struct node *image_once(struct builder *b, const struct node *x)
{
    switch ((enum node_kind)x->kind) {
    case NODE_TEXT: return image_of_text(b, x->text);
    case NODE_CLASS: return image_of_class(b, x);
    case NODE_SEQ: return image_of_seq(b, x);
    case NODE_OR:
    case NODE_AND: return image_of_parts(b, x);
    case NODE_NOT: return node_and(b, image(b, b->any), node_not(b, image(b, x->rep.x)));
    case NODE_REPEAT: return node_repeat(b, image(b, x->rep.x), x->rep.min, x->rep.max);
    case NODE_IMAGE: return image(b, node_spelled(b, x));
    case NODE_NEVER:
    case NODE_EMPTY:
    case NODE_CONTROL:
    case NODE_CALL: break;
    }
    return x;
}

/* Once for each node of a builder: thousands of members share the strings that their values may be. */
static const struct node *image(struct builder *b, const struct node *x)
{
    const struct node *known = node_noted(b, x)->image;
    if (known)
        return known;
    const struct node *y = image_once(b, x); /* may move the notes */
    return node_noted(b, x)->image = y;
}

const struct node *node_spelled(struct builder *b, const struct node *x)
{
    assert(x->kind == NODE_IMAGE);
    return image(b, x->rep.x);
}

const struct node *node_json_image(struct builder *b, const struct node *regular)
{
    assert(regular->regular);
    return regular->boolean ? node_image(b, regular) : image(b, regular);
}
