/*
 * questions.c - what an exam asks: generated held-out problems, or the lines of a file.
 *
 * Question i of a family and level comes from its own random stream, so it is the same question whatever
 * else is asked beside it. A file is JSONL with the strings "question" and "answer"; in the answer what
 * follows the last "#### " counts, if there is one. Lines with the same string "template" were made from one.
 */
#include "base/file.h"
#include "exam/exam_impl.h"
#include "exam/run_impl.h"
#include "json/json.h"

#include <string.h>

#define FILE_BYTES_MAX (256 * MIB)

static struct exam_item *add_item(struct exam_paper *paper, const struct exam_family *f, int level,
                                  int64_t index, struct str text, struct str answer)
{
    if (paper->len == paper->cap) {
        paper->cap = paper->cap ? paper->cap * 2 : 256;
        paper->items = mem_realloc(paper->items, paper->cap * sizeof *paper->items);
    }
    struct exam_item *item = &paper->items[paper->len++];
    *item = (struct exam_item){ .family = f };
    item->question.family = f ? f->name : "file";
    item->question.level = level;
    item->question.index = index;
    item->question.text = arena_str(&paper->arena, text);
    item->answer = arena_str(&paper->arena, answer);
    return item;
}

uint64_t cluster_name(const char *family, int level)
{
    const int64_t at[] = { level };
    return case_key(family, at, ARRAY_LEN(at));
}

static void add_problem(struct exam_paper *paper, int64_t index, const struct exam_problem *p)
{
    struct exam_item *item =
        add_item(paper, p->family, p->level, index, buf_str(&p->question), buf_str(&p->answer));
    item->cluster = cluster_name(p->family->name, p->level);
    struct exam_question *q = &item->question;
    q->system = arena_str(&paper->arena, buf_str(&p->system));
    q->tools = arena_str(&paper->arena, buf_str(&p->tools));
    q->tool = p->tool;
    q->earlier_len = p->earlier_len;
    for (int i = 0; i < p->earlier_len; i++) {
        q->earlier[i].tool = p->earlier[i].tool;
        q->earlier[i].said = arena_str(&paper->arena, buf_str(&p->earlier[i].said));
        q->earlier[i].visible = arena_str(&paper->arena, buf_str(&p->earlier[i].visible));
    }
}

static void add_levels(struct exam_paper *paper, const struct exam_config *config,
                       const struct exam_family *f, const bool *wanted)
{
    struct exam_problem p = { 0 };
    for (int level = 1; level <= f->levels; level++)
        for (int i = 0; i < config->items && wanted[level - 1]; i++) {
            const int64_t at[] = { level, i };
            struct rng rng;
            rng_init(&rng, config->seed, case_key(f->name, at, ARRAY_LEN(at)));
            exam_generate(f, level, EXAM_MEDIUM, EXAM_HELD_OUT, &rng, &p);
            add_problem(paper, i, &p);
        }
    exam_problem_free(&p);
}

/* What stands behind the last "####", else the whole. */
static struct str reference(struct str answer)
{
    static const struct str mark = { "####", 4 };
    for (size_t i = answer.len; i-- > 0;)
        if (str_starts(str_slice(answer, i, answer.len), mark))
            return str_trim(str_slice(answer, i + mark.len, answer.len));
    return str_trim(answer);
}

static void add_question(struct exam_paper *paper, struct str question, struct str answer,
                         const json_t *template)
{
    int64_t index = (int64_t)paper->len;
    struct exam_item *item = add_item(paper, NULL, 0, index, question, reference(answer));
    item->cluster = json_is_string(template) ? str_hash(json_str(template)) : case_key("file", &index, 1);
}

static enum err_code read_line(struct exam_paper *paper, struct str line, int64_t number, const char *path,
                               struct err *err)
{
    json_t *object = NULL;
    struct err why = { 0 };
    if (json_read(&object, line, &why))
        return err_set(err, ERR_FORMAT, NULL, "%s:%lld: %s", path, (long long)number, why.message);
    const json_t *question = json_object_get(object, "question"), *answer = json_object_get(object, "answer");
    enum err_code code = ERR_OK;
    if (!json_is_string(question) || !json_is_string(answer))
        code = err_set(err, ERR_FORMAT, NULL,
                       "%s:%lld: Expected an object with the strings 'question' and 'answer'.", path,
                       (long long)number);
    else
        add_question(paper, json_str(question), json_str(answer), json_object_get(object, "template"));
    json_decref(object);
    return code;
}

static enum err_code add_file(struct exam_paper *paper, const struct exam_config *config, struct err *err)
{
    struct buf bytes = { 0 };
    int64_t number = 0;
    enum err_code code = file_read(&bytes, config->file, FILE_BYTES_MAX, err);
    for (struct str rest = buf_str(&bytes); !code && rest.len;) {
        size_t end = str_find(rest, STR("\n"));
        struct str line = str_trim(str_slice(rest, 0, end == SIZE_MAX ? rest.len : end));
        rest = str_slice(rest, end == SIZE_MAX ? rest.len : end + 1, rest.len);
        number++;
        if (line.len == 0)
            continue;
        if (config->file_items_max && (int64_t)paper->len >= config->file_items_max)
            break;
        code = read_line(paper, line, number, config->file, err);
    }
    if (!code && paper->len == 0)
        code = err_set(err, ERR_FORMAT, NULL, "%s holds no question.", config->file);
    buf_free(&bytes);
    return code;
}

static enum err_code unknown_family(struct str name, struct err *err)
{
    struct buf names = { 0 };
    for (size_t i = 0; i < exam_family_count(); i++)
        buf_printf(&names, "%s%s", i ? ", " : "", exam_family_name(exam_family_at(i)));
    err_set(err, ERR_INVALID_VALUE, "families", "There is no family '%.*s'; there are %s.",
            (int)(name.len < 40 ? name.len : 40), name.ptr, names.ptr);
    buf_free(&names);
    return ERR_INVALID_VALUE;
}

static bool read_levels(struct str text, const struct exam_family *f, struct exam_selection *out)
{
    size_t dash = str_find(text, STR("-"));
    struct str from = str_slice(text, 0, dash == SIZE_MAX ? text.len : dash),
               to = dash == SIZE_MAX ? from : str_slice(text, dash + 1, text.len);
    int64_t first, last;
    if (!str_to_i64(from, &first) || !str_to_i64(to, &last) || first < 1 || last < first || last > f->levels)
        return false;
    out->first = (int)first;
    out->last = (int)last;
    return true;
}

enum err_code exam_select(struct exam_selection *out, const char *text, struct err *err)
{
    struct str all = str_from(text);
    size_t colon = str_find(all, STR(":"));
    struct str name = str_slice(all, 0, colon == SIZE_MAX ? all.len : colon);
    const struct exam_family *f = exam_family_find(name);
    if (!f)
        return unknown_family(name, err);
    *out = (struct exam_selection){ f, 1, f->levels };
    if (colon != SIZE_MAX && !read_levels(str_slice(all, colon + 1, all.len), f, out))
        return err_set(err, ERR_INVALID_VALUE, "families",
                       "'%.60s': Expected FAMILY:LEVEL or FAMILY:FIRST-LAST, and %s has the levels 1 to %d.",
                       text, f->name, f->levels);
    return ERR_OK;
}

/* A family that is named several times is asked once, of all the levels that were named. */
static void add_selected(struct exam_paper *paper, const struct exam_config *config,
                         const struct exam_selection *all, size_t n, size_t at)
{
    bool wanted[EXAM_LEVELS_MAX] = { 0 };
    for (size_t i = 0; i < at; i++)
        if (all[i].family == all[at].family)
            return;
    for (size_t i = at; i < n; i++)
        for (int level = all[i].first; all[i].family == all[at].family && level <= all[i].last; level++)
            wanted[level - 1] = true;
    add_levels(paper, config, all[at].family, wanted);
}

static enum err_code add_families(struct exam_paper *paper, const struct exam_config *config, struct err *err)
{
    size_t n = config->families_len ? config->families_len : exam_family_count();
    struct exam_selection *all = mem_array(n, sizeof *all);
    enum err_code code = ERR_OK;
    for (size_t i = 0; !code && i < n; i++)
        code = exam_select(
            &all[i], config->families_len ? config->families[i] : exam_family_name(exam_family_at(i)), err);
    for (size_t i = 0; !code && i < n; i++)
        add_selected(paper, config, all, n, i);
    mem_free(all);
    return code;
}

enum err_code exam_paper_open(struct exam_paper *paper, const struct exam_config *config, struct err *err)
{
    memset(paper, 0, sizeof *paper);
    return config->file ? add_file(paper, config, err) : add_families(paper, config, err);
}

void exam_paper_close(struct exam_paper *paper)
{
    mem_free(paper->items);
    mem_free(paper->results);
    arena_free(&paper->arena);
    *paper = (struct exam_paper){ 0 };
}
