/*
 * template_method.c - methods of strings, lists, dicts and loops, as Python's types have them.
 *
 * Those that change their object are left out: the sandbox that templates are written for refuses them too.
 */
#include "text/template_impl.h"

#include <string.h>
#include <utf8proc.h>

#define METHOD(name)                                                                                         \
    static struct value name(struct render *r, struct value self, const struct value *arg,                   \
                             const struct args *args)

static bool string_arg(struct render *r, struct value v)
{
    if (!IS(v, V_STRING))
        render_fail(r, "a string is expected, not a %s", type_name(v));
    return !r->failed;
}

/* --- strings ------------------------------------------------------------------------------------------------------ */

METHOD(str_method_strip)
{
    (void)args;
    return str_strip(r, self.s, arg, true, true);
}

METHOD(str_method_lstrip)
{
    (void)args;
    return str_strip(r, self.s, arg, true, false);
}

METHOD(str_method_rstrip)
{
    (void)args;
    return str_strip(r, self.s, arg, false, true);
}

/* Words between blanks; at most `limit` cuts from the left, < 0: all. */
static struct value split_blanks(struct render *r, struct str s, int64_t limit)
{
    struct value parts = list_new(r, V_LIST);
    const struct value blanks = { .kind = V_ABSENT };
    while (!r->failed) {
        s = str_strip(r, s, &blanks, true, false).s;
        if (s.len == 0)
            break;
        size_t end = 0;
        uint32_t c = 0;
        while (end < s.len) {
            size_t used = next_char(s, end, &c);
            if (is_space(c))
                break;
            end += used;
        }
        if (limit-- == 0) {
            list_add(r, parts, str_strip(r, s, &blanks, false, true));
            break;
        }
        list_add(r, parts, v_string(str_slice(s, 0, end)));
        s = str_slice(s, end, s.len);
    }
    return parts;
}

/* Offset of the last needle, or SIZE_MAX. */
static size_t find_last(struct str s, struct str needle)
{
    for (size_t at = s.len + 1; at-- > 0;)
        if (str_starts(str_slice(s, at, s.len), needle))
            return at;
    return SIZE_MAX;
}

METHOD(str_method_split)
{
    (void)args;
    int64_t limit;
    if (!int_arg(r, arg[1], -1, &limit))
        return v_none();
    render_step(r, self.s.len / 16);
    if (IS(arg[0], V_ABSENT) || IS(arg[0], V_NONE))
        return split_blanks(r, self.s, limit);
    if (!string_arg(r, arg[0]) || arg[0].s.len == 0)
        return render_fail(r, "split needs a separator that is not empty");
    struct value parts = list_new(r, V_LIST);
    struct str s = self.s;
    for (size_t at; limit-- != 0 && (at = str_find(s, arg[0].s)) != SIZE_MAX && !r->failed;) {
        list_add(r, parts, v_string(str_slice(s, 0, at)));
        s = str_slice(s, at + arg[0].s.len, s.len);
    }
    list_add(r, parts, v_string(s));
    return parts;
}

METHOD(str_method_rsplit)
{
    int64_t limit;
    if (!int_arg(r, arg[1], -1, &limit))
        return v_none();
    if (limit < 0)
        return str_method_split(r, self, arg, args);
    if (!string_arg(r, arg[0]) || arg[0].s.len == 0)
        return render_fail(r, "rsplit with a limit needs a separator");
    struct value backwards = list_new(r, V_LIST), parts = list_new(r, V_LIST);
    struct str s = self.s;
    for (size_t at;
         limit-- != 0 && (at = find_last(s, arg[0].s)) != SIZE_MAX && render_step(r, s.len / 16);) {
        list_add(r, backwards, v_string(str_slice(s, at + arg[0].s.len, s.len)));
        s = str_slice(s, 0, at);
    }
    list_add(r, parts, v_string(s));
    for (size_t i = backwards.list->n; i-- > 0;)
        list_add(r, parts, backwards.list->items[i]);
    return parts;
}

METHOD(str_method_splitlines)
{
    (void)args;
    if (truth(arg[0]))
        return render_fail(r, "splitlines with keepends is not supported");
    return split_lines(r, self.s);
}

/* (before, separator, after); not found: the text at one end. */
static struct value partition(struct render *r, struct str s, struct value separator, bool last)
{
    if (!string_arg(r, separator) || separator.s.len == 0)
        return render_fail(r, "partition needs a separator that is not empty");
    size_t at = last ? find_last(s, separator.s) : str_find(s, separator.s);
    struct str parts[3] = { s, STR(""), STR("") };
    if (at != SIZE_MAX) {
        parts[0] = str_slice(s, 0, at);
        parts[1] = separator.s;
        parts[2] = str_slice(s, at + separator.s.len, s.len);
    } else if (last) {
        parts[0] = STR("");
        parts[2] = s;
    }
    struct value tuple = list_new(r, V_TUPLE);
    for (size_t i = 0; i < 3; i++)
        list_add(r, tuple, v_string(parts[i]));
    return tuple;
}

METHOD(str_method_partition)
{
    (void)args;
    return partition(r, self.s, arg[0], false);
}

METHOD(str_method_rpartition)
{
    (void)args;
    return partition(r, self.s, arg[0], true);
}

/* One string or a tuple of them. */
static struct value starts_or_ends(struct render *r, struct str s, struct value with, bool ends)
{
    if (!IS(with, V_TUPLE)) {
        if (!string_arg(r, with))
            return v_none();
        return v_bool(ends ? str_ends(s, with.s) : str_starts(s, with.s));
    }
    for (size_t i = 0; i < with.list->n && !r->failed; i++)
        if (IS(with.list->items[i], V_STRING) && truth(starts_or_ends(r, s, with.list->items[i], ends)))
            return v_bool(true);
    return v_bool(false);
}

METHOD(str_method_startswith)
{
    (void)args;
    return starts_or_ends(r, self.s, arg[0], false);
}

METHOD(str_method_endswith)
{
    (void)args;
    return starts_or_ends(r, self.s, arg[0], true);
}

METHOD(str_method_removeprefix)
{
    (void)args;
    if (!string_arg(r, arg[0]))
        return v_none();
    return v_string(str_starts(self.s, arg[0].s) ? str_slice(self.s, arg[0].s.len, self.s.len) : self.s);
}

METHOD(str_method_removesuffix)
{
    (void)args;
    if (!string_arg(r, arg[0]))
        return v_none();
    return v_string(str_ends(self.s, arg[0].s) ? str_slice(self.s, 0, self.s.len - arg[0].s.len) : self.s);
}

METHOD(str_method_replace)
{
    (void)args;
    int64_t count;
    if (!string_arg(r, arg[0]) || !string_arg(r, arg[1]) || !int_arg(r, arg[2], -1, &count))
        return v_none();
    return str_replace(r, self.s, arg[0].s, arg[1].s, count);
}

static struct value find_chars(struct render *r, struct str s, struct value needle, bool last)
{
    if (!string_arg(r, needle) || !render_step(r, s.len / 16))
        return v_none();
    size_t at = last ? find_last(s, needle.s) : str_find(s, needle.s);
    return v_int(at == SIZE_MAX ? -1 : (int64_t)count_chars(str_slice(s, 0, at)));
}

METHOD(str_method_find)
{
    (void)args;
    return find_chars(r, self.s, arg[0], false);
}

METHOD(str_method_rfind)
{
    (void)args;
    return find_chars(r, self.s, arg[0], true);
}

METHOD(str_method_index)
{
    (void)args;
    struct value at = find_chars(r, self.s, arg[0], false);
    return IS(at, V_INT) && at.i < 0 ? render_fail(r, "the text to find is not there") : at;
}

METHOD(str_method_count)
{
    (void)args;
    if (!string_arg(r, arg[0]) || !render_step(r, self.s.len / 16))
        return v_none();
    if (arg[0].s.len == 0)
        return v_int((int64_t)count_chars(self.s) + 1);
    int64_t count = 0;
    struct str s = self.s;
    for (size_t at; (at = str_find(s, arg[0].s)) != SIZE_MAX; count++)
        s = str_slice(s, at + arg[0].s.len, s.len);
    return v_int(count);
}

METHOD(str_method_join)
{
    (void)args;
    struct buf out = { 0 };
    const struct list *list = iterate(r, arg[0]);
    for (size_t i = 0; i < list->n && !r->failed && string_arg(r, list->items[i]); i++) {
        if (i)
            put_bounded(r, &out, self.s);
        put_bounded(r, &out, list->items[i].s);
    }
    render_step(r, list->n + out.len / 64);
    return v_from_buf(r, &out);
}

METHOD(str_method_upper)
{
    (void)arg, (void)args;
    return v_string(str_case(r, self.s, true));
}

METHOD(str_method_lower)
{
    (void)arg, (void)args;
    return v_string(str_case(r, self.s, false));
}

METHOD(str_method_capitalize)
{
    (void)arg;
    return call_builtin(r, find_filter(STR("capitalize")), self, args);
}

static bool in_category(uint32_t c, utf8proc_category_t from, utf8proc_category_t to)
{
    if (c > 0x10FFFF)
        return false;
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return category >= from && category <= to;
}

static bool is_letter(uint32_t c)
{
    return in_category(c, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LO);
}

static bool is_cased(uint32_t c)
{
    return in_category(c, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LT);
}

static bool is_digit(uint32_t c)
{
    return in_category(c, UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_ND);
}

static bool is_alnum(uint32_t c)
{
    return is_letter(c) || in_category(c, UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NO);
}

/* Python's: a letter behind anything without case is a capital, all others are small. */
METHOD(str_method_title)
{
    (void)arg, (void)args;
    struct buf out = { 0 };
    bool inside = false;
    for (size_t at = 0; at < self.s.len && !r->failed;) {
        uint32_t c;
        size_t used = next_char(self.s, at, &c);
        put_bounded(r, &out, str_case(r, str_slice(self.s, at, at + used), !inside));
        inside = is_cased(c);
        at += used;
    }
    return v_from_buf(r, &out);
}

static struct value all_chars(struct str s, bool (*is)(uint32_t))
{
    for (size_t at = 0; at < s.len;) {
        uint32_t c;
        at += next_char(s, at, &c);
        if (!is(c))
            return v_bool(false);
    }
    return v_bool(s.len > 0);
}

METHOD(str_method_isdigit)
{
    (void)r, (void)arg, (void)args;
    return all_chars(self.s, is_digit);
}

METHOD(str_method_isalpha)
{
    (void)r, (void)arg, (void)args;
    return all_chars(self.s, is_letter);
}

METHOD(str_method_isalnum)
{
    (void)r, (void)arg, (void)args;
    return all_chars(self.s, is_alnum);
}

METHOD(str_method_isspace)
{
    (void)r, (void)arg, (void)args;
    return all_chars(self.s, is_space);
}

METHOD(str_method_isupper)
{
    (void)arg, (void)args;
    return call_builtin(r, find_test(STR("upper")), self, args);
}

METHOD(str_method_islower)
{
    (void)arg, (void)args;
    return call_builtin(r, find_test(STR("lower")), self, args);
}

METHOD(str_method_format)
{
    (void)arg;
    return str_braces(r, self.s, args);
}

/* --- lists, dicts, loops -------------------------------------------------------------------------------------------- */

METHOD(list_method_index)
{
    (void)args;
    for (size_t i = 0; i < self.list->n && !r->failed; i++)
        if (equal(r, self.list->items[i], arg[0]))
            return v_int((int64_t)i);
    return render_fail(r, "the value to find is not in the list");
}

METHOD(list_method_count)
{
    (void)args;
    int64_t count = 0;
    for (size_t i = 0; i < self.list->n && !r->failed; i++)
        count += equal(r, self.list->items[i], arg[0]);
    return v_int(count);
}

METHOD(method_copy)
{
    (void)r, (void)arg, (void)args;
    return self; /* nothing can change it */
}

METHOD(dict_method_get)
{
    (void)args;
    const struct value *found = dict_get(r, self.dict, arg[0]);
    return found ? *found : IS(arg[1], V_ABSENT) ? v_none() : arg[1];
}

METHOD(dict_method_keys)
{
    (void)arg, (void)args;
    struct value keys = { .kind = V_LIST };
    keys.list = iterate(r, self);
    return keys;
}

METHOD(dict_method_values)
{
    (void)arg, (void)args;
    struct value values = list_new(r, V_LIST);
    for (size_t i = 0; i < self.dict->n; i++)
        list_add(r, values, self.dict->pairs[i].value);
    return values;
}

METHOD(dict_method_items)
{
    (void)arg, (void)args;
    struct value items = { .kind = V_LIST };
    items.list = iterate(r, call_builtin(r, find_filter(STR("items")), self, &(struct args){ 0 }));
    return items;
}

METHOD(loop_method_cycle)
{
    (void)arg;
    if (args->n == 0)
        return render_fail(r, "cycle needs values");
    return args->pos[self.loop->at % args->n];
}

METHOD(loop_method_changed)
{
    (void)arg;
    struct value now = list_new(r, V_TUPLE);
    for (size_t i = 0; i < args->n; i++)
        list_add(r, now, args->pos[i]);
    bool same = IS(self.loop->changed, V_TUPLE) && equal(r, self.loop->changed, now);
    self.loop->changed = now;
    return v_bool(!same);
}

static const struct builtin string_methods[] = {
    { "capitalize", "", 0, str_method_capitalize },
    { "count", "sub", 1, str_method_count },
    { "endswith", "suffix", 1, str_method_endswith },
    { "find", "sub", 1, str_method_find },
    { "format", NULL, 0, str_method_format },
    { "index", "sub", 1, str_method_index },
    { "isalnum", "", 0, str_method_isalnum },
    { "isalpha", "", 0, str_method_isalpha },
    { "isdigit", "", 0, str_method_isdigit },
    { "islower", "", 0, str_method_islower },
    { "isspace", "", 0, str_method_isspace },
    { "isupper", "", 0, str_method_isupper },
    { "join", "iterable", 1, str_method_join },
    { "lower", "", 0, str_method_lower },
    { "lstrip", "chars", 0, str_method_lstrip },
    { "partition", "sep", 1, str_method_partition },
    { "removeprefix", "prefix", 1, str_method_removeprefix },
    { "removesuffix", "suffix", 1, str_method_removesuffix },
    { "replace", "old new count", 2, str_method_replace },
    { "rfind", "sub", 1, str_method_rfind },
    { "rpartition", "sep", 1, str_method_rpartition },
    { "rsplit", "sep maxsplit", 0, str_method_rsplit },
    { "rstrip", "chars", 0, str_method_rstrip },
    { "split", "sep maxsplit", 0, str_method_split },
    { "splitlines", "keepends", 0, str_method_splitlines },
    { "startswith", "prefix", 1, str_method_startswith },
    { "strip", "chars", 0, str_method_strip },
    { "title", "", 0, str_method_title },
    { "upper", "", 0, str_method_upper },
};

static const struct builtin list_methods[] = {
    { "copy", "", 0, method_copy },
    { "count", "value", 1, list_method_count },
    { "index", "value", 1, list_method_index },
};

static const struct builtin dict_methods[] = {
    { "copy", "", 0, method_copy },          { "get", "key default", 1, dict_method_get },
    { "items", "", 0, dict_method_items },   { "keys", "", 0, dict_method_keys },
    { "values", "", 0, dict_method_values },
};

static const struct builtin loop_methods[] = {
    { "changed", NULL, 0, loop_method_changed },
    { "cycle", NULL, 0, loop_method_cycle },
};

const struct builtin *find_method(enum value_kind kind, struct str name)
{
    switch (kind) {
    case V_STRING: return find_row(string_methods, ARRAY_LEN(string_methods), name);
    case V_LIST:
    case V_TUPLE: return find_row(list_methods, ARRAY_LEN(list_methods), name);
    case V_DICT: return find_row(dict_methods, ARRAY_LEN(dict_methods), name);
    case V_LOOP: return find_row(loop_methods, ARRAY_LEN(loop_methods), name);
    default: return NULL;
    }
}

bool is_method_name(struct str name)
{
    static const enum value_kind kinds[] = { V_STRING, V_LIST, V_DICT, V_LOOP };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (find_method(kinds[i], name))
            return true;
    return false;
}
