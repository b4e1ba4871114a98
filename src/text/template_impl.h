/*
 * template_impl.h - what the files of the chat template interpreter share.
 *
 *   source -> template_lex.c -> tokens -> template_parse.c, template_expr.c -> nodes        (once, at open)
 *   nodes + variables -> template_exec.c, template_eval.c -> text                           (each render)
 *
 * template_value.c is Python's data model as far as templates see it; template_filter.c, template_sequence.c,
 * template_test.c and template_method.c are tables of what can be called. The reference is Jinja2 3.1 in
 * the environment that Hugging Face's apply_chat_template sets up: sandboxed and immutable, trim_blocks,
 * lstrip_blocks, loop controls, no autoescape.
 *
 * Errors are sticky: the first one is kept in the parser or the render, everything after it runs to its end
 * without effect, and the caller looks once. Values point into the render's arena or the template's.
 */
#ifndef THINKD_TEXT_TEMPLATE_IMPL_H
#define THINKD_TEXT_TEMPLATE_IMPL_H

#include "base/arena.h"
#include "text/text.h"

#define TEMPLATE_BYTES_MAX MIB                /* source; the longest in use are below 64 KiB */
#define TEMPLATE_NAMES_MAX 1024               /* different variable names */
#define NEST_MAX           100                /* of statements and expressions in the source */
#define RENDER_STEPS_MAX   ((size_t)20000000) /* nodes evaluated plus 64-byte pieces of strings touched */
#define RENDER_DEPTH_MAX   500                /* of evaluation: source nesting times macro recursion */
#define RENDER_OUTPUT_MAX  (64 * MIB)
#define RENDER_MEMORY_MAX  (256 * MIB)
#define RANGE_MAX          100000 /* the sandbox's own limit on range() */

struct render;
struct node;

/* --- values ----------------------------------------------------------------------------------------- */

enum value_kind {
    V_ABSENT, /* an argument that was not given; never seen by templates */
    V_UNDEFINED,
    V_NONE,
    V_BOOL,
    V_INT,
    V_FLOAT,
    V_STRING,
    V_LIST,
    V_TUPLE,
    V_ITER, /* a generator: always true, has no length, gives each item once */
    V_DICT,
    V_NAMESPACE,
    V_MACRO,
    V_FUNCTION,
    V_METHOD, /* bound to its receiver */
    V_LOOP
};
#define IS(value, a) ((value).kind == (a))

struct value {
    enum value_kind kind;
    bool markup; /* V_STRING: Jinja's Markup; + escapes what is added to it */
    union {
        bool b;
        int64_t i;
        double d;
        struct str s; /* V_STRING; V_UNDEFINED: the sentence that says what is missing */
        struct list *list;
        struct iter *iter;
        struct dict *dict;
        struct macro *macro;
        const struct builtin *builtin;
        struct method *method;
        struct loop *loop;
    };
};

struct list {
    struct value *items;
    size_t n, cap;
};
struct iter {
    struct list *list;
    size_t at;
};
struct pair {
    struct value key, value;
};
struct dict {
    struct pair *pairs; /* in order of insertion */
    size_t n, cap;
};
struct macro {
    const struct node *node;
    struct scope *scope; /* where it was defined */
};
struct method {
    struct value self;
    const struct builtin *builtin;
};
struct loop {
    struct list *items;
    size_t at;
    struct value changed; /* what loop.changed was last asked about */
};

/* Arguments as written at the call. */
struct args {
    struct value *pos;
    size_t n;
    struct pair *named; /* key: V_STRING */
    size_t n_named;
};

/* A filter, test, function or method: one row of a table. */
struct builtin {
    const char *name;
    const char
        *params; /* names behind the receiver, blank between two; NULL: any arguments, read from args */
    size_t n_required;
    /* arg[i] is the i-th of params, V_ABSENT where not given. */
    struct value (*call)(struct render *r, struct value self, const struct value *arg,
                         const struct args *args);
};
#define PARAMS_MAX 4

/* --- nodes ------------------------------------------------------------------------------------------- */

enum node_kind {
    /* expressions          a        b        c        items           other */
    N_CONST, /*                                            constant */
    N_NAME,  /*                                            name */
    N_LIST,  /*                            elements */
    N_TUPLE, /*                            elements */
    N_DICT,  /*                            key, value, ... */
    N_ATTR,  /* object                                     text */
    N_ITEM,  /* object   key */
    N_SLICE, /* start    stop     step                     each may be NULL; only as key of N_ITEM */
    N_CALL,  /* callee   *args    **kwargs arguments       named; b and c may be NULL */
    N_FILTER, /* input    *args    **kwargs arguments       named, builtin, text; input NULL: the block's text */
    N_TEST,     /* input    *args    **kwargs arguments       named, builtin, text */
    N_NOT,      /* operand */
    N_NEG,      /* operand */
    N_POS,      /* operand */
    N_BINARY,   /* left     right                             op */
    N_CONCAT,   /*                            operands */
    N_AND,      /* left     right */
    N_OR,       /* left     right */
    N_COMPARE,  /* first                      N_COMPARED ... */
    N_COMPARED, /* right                                      op */
    N_IF_EXPR,  /* test     then     else, may be NULL */
    /* statements */
    N_DATA,         /*                                            text */
    N_PRINT,        /* expression */
    N_BLOCK,        /*                            statements */
    N_IF,           /*                            test, body, ...; a last body alone is else */
    N_FOR,          /* target   iterable filter   body, else      filter and else may be NULL */
    N_SET,          /* target   value */
    N_SET_BLOCK,    /* target   body     filter, may be NULL */
    N_MACRO,        /* body                       N_NAME params   name, op; a param's a is its default */
    N_CALL_BLOCK,   /* N_MACRO  N_CALL                            {% call %} */
    N_SCOPE,        /* body                       target, value, ...  {% with %}, {% generation %} */
    N_FILTER_BLOCK, /* filter   body */
    N_BREAK,
    N_CONTINUE,
};

enum binary_op { OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_FLOORDIV, OP_MOD, OP_POW };
enum compare_op { CMP_EQ, CMP_NE, CMP_LT, CMP_LE, CMP_GT, CMP_GE, CMP_IN, CMP_NOT_IN };

/* op of N_MACRO: names that its body speaks of besides its parameters. */
enum macro_name { MACRO_CALLER, MACRO_VARARGS, MACRO_KWARGS, MACRO_NAMES };
extern const char *const macro_names[MACRO_NAMES];

struct named_node {
    struct str name;
    struct node *value;
};
struct node {
    enum node_kind kind;
    int line;
    int op;   /* enum binary_op, enum compare_op, 1 << enum macro_name */
    int name; /* index into the template's names */
    struct node *a, *b, *c;
    struct node **items;
    size_t n_items;
    struct named_node *named;
    size_t n_named;
    struct str text;
    struct value constant;
    const struct builtin *builtin;
};

struct chat_template {
    struct arena arena;
    struct node *body;
    struct str *names; /* every variable that is read or set; [n_names] */
    bool *read;        /* [n_names] whether any expression reads it */
    size_t n_names;
    int loop_name; /* of "loop" */
    int macro_names[MACRO_NAMES];
};

/* --- template_lex.c ------------------------------------------------------------------------------------- */

enum token_kind {
    T_END,
    T_DATA,
    T_VARIABLE_BEGIN,
    T_VARIABLE_END,
    T_BLOCK_BEGIN,
    T_BLOCK_END,
    T_NAME,
    T_STRING, /* text is decoded */
    T_INTEGER,
    T_FLOAT,
    T_OPERATOR
};
struct token {
    enum token_kind kind;
    int line;
    struct str text;
};
/* The tokens end in T_END. Data and strings are in the arena. */
enum err_code template_lex(struct str source, struct arena *arena, struct token **tokens, struct err *err);

/* --- template_parse.c, template_expr.c ------------------------------------------------------------------- */

struct parser {
    struct chat_template *t;
    const struct token *at;
    unsigned depth;
    unsigned loops; /* {% for %} around this place, for break and continue */
    unsigned ifs;   /* {% if %} around this place: what may never run is not refused */
    bool failed;
    struct err *err;
};
enum err_code template_parse(struct chat_template *t, const struct token *tokens, struct err *err);
/* Keeps the first error and moves to the end, where every loop of the parser stops. */
struct node *parse_fail(struct parser *p, int line, const char *fmt, ...) PRINTF_LIKE(3, 4);
struct node *node_new(struct parser *p, enum node_kind kind, int line);
void node_add(struct parser *p, struct node *parent, struct node *child);
void next_token(struct parser *p); /* stays at the end */
bool is_operator(const struct parser *p, const char *text);
bool is_name(const struct parser *p, const char *text);
bool skip_operator(struct parser *p, const char *text);
bool skip_name(struct parser *p, const char *text);
void expect_operator(struct parser *p, const char *text);
struct str expect_name(struct parser *p);
int intern(struct parser *p, struct str name, bool reads);
struct node *parse_expression(struct parser *p);
/* One expression, or several with commas as a tuple. conditional: whether `a if b` is part of it. */
struct node *parse_tuple(struct parser *p, bool conditional);
struct node *parse_target(struct parser *p, bool with_namespace);
struct node *parse_filters(struct parser *p, struct node *input, bool after_pipe);

/* --- template_exec.c, template_eval.c ---------------------------------------------------------------------- */

struct binding {
    int name;
    struct value value;
};
struct scope {
    struct scope *parent;
    struct binding *vars;
    size_t n, cap;
};
enum jump { JUMP_NONE, JUMP_BREAK, JUMP_CONTINUE };

struct render {
    const struct chat_template *t;
    const json_t *variables;
    struct arena arena;
    struct buf *out;
    struct scope *scope;
    struct scope *globals;
    enum jump jump;
    int line; /* of the statement that runs */
    size_t steps;
    unsigned depth;
    bool failed;
    struct err *err;
};
/* Keeps the first error; gives undefined, so that a failing evaluation is one return statement. */
struct value render_fail(struct render *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Counts work and checks the render's limits; false: it failed, now or before. */
bool render_step(struct render *r, size_t steps);
bool render_room(struct render *r, size_t bytes); /* before allocating what the template's data can size */

void exec(struct render *r, const struct node *n);
struct value eval(struct render *r, const struct node *n);
struct value eval_filter(struct render *r, const struct node *n, struct value input);
/* extra: one more named argument, or NULL. */
struct value eval_call(struct render *r, const struct node *n, const struct pair *extra);
void assign(struct render *r, const struct node *target, struct value v);
struct scope *scope_push(struct render *r);
struct value lookup(struct render *r, int name);
struct value call_value(struct render *r, struct value callee, const struct args *args);
struct value call_builtin(struct render *r, const struct builtin *f, struct value self,
                          const struct args *args);
struct value call_macro(struct render *r, const struct macro *m, const struct args *args);

/* --- template_value.c ------------------------------------------------------------------------------------------ */

struct value v_none(void);
struct value v_bool(bool b);
struct value v_int(int64_t i);
struct value v_float(double d);
struct value v_string(struct str s);
struct value v_chars(const char *literal);
struct value v_undefined(struct render *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
struct value v_iter(struct render *r, struct value list);
struct value v_from_json(struct render *r, const json_t *json);
struct value v_from_buf(struct render *r, struct buf *b); /* frees b */

struct value list_new(struct render *r, enum value_kind kind);
void list_add(struct render *r, struct value list, struct value item);
struct value dict_new(struct render *r, enum value_kind kind);
struct value *dict_get(struct render *r, const struct dict *d, struct value key); /* NULL: not there */
void dict_set(struct render *r, struct dict *d, struct value key, struct value v);

const char *type_name(struct value v); /* Python's: "str", "dict" */
bool is_number(struct value v);        /* bool, int, float */
double as_double(struct value v);
bool truth(struct value v);
bool equal(struct render *r, struct value a, struct value b);
/* <0, 0, >0; fails where Python raises TypeError. */
int order(struct render *r, struct value a, struct value b);
bool contains(struct render *r, struct value container, struct value item);
/* A list of what a for loop would see; uses a generator up. Fails for what is not iterable. */
struct list *iterate(struct render *r, struct value v);
bool length_of(struct render *r, struct value v, size_t *n); /* false: it has none */
struct value get_attr(struct render *r, struct value v, struct str name);
struct value get_item(struct render *r, struct value v, struct value key);
struct value get_slice(struct render *r, struct value v, const int64_t *start, const int64_t *stop,
                       int64_t step);

void put_str(struct render *r, struct value v, struct buf *out);  /* str(v) */
void put_repr(struct render *r, struct value v, struct buf *out); /* repr(v) */
struct str to_str(struct render *r, struct value v);              /* str(v); no copy for strings */
void put_float(double d, struct buf *out);                        /* repr(d): the shortest that reads back */
/* Appends, unless the output limit is passed: what builds strings in loops goes through it. */
bool put_bounded(struct render *r, struct buf *out, struct str s);

/* Characters of text that may hold guard bytes or other broken bytes, each of which counts as one. */
size_t next_char(struct str s, size_t at, uint32_t *codepoint); /* its length in bytes */
size_t count_chars(struct str s);
bool is_space(uint32_t codepoint); /* Python's str.isspace */

/* --- tables ------------------------------------------------------------------------------------------------------ */

const struct builtin *find_filter(struct str name); /* template_filter.c, template_sequence.c */
const struct builtin *find_sequence_filter(struct str name);
const struct builtin *find_test(struct str name);                         /* template_test.c */
const struct builtin *find_function(struct str name);                     /* template_test.c */
const struct builtin *find_method(enum value_kind kind, struct str name); /* template_method.c */
bool is_method_name(struct str name);                                     /* of any kind */
const struct builtin *find_row(const struct builtin *rows, size_t n, struct str name);

struct value str_strip(struct render *r, struct str s, const struct value *chars, bool left, bool right);
struct str str_case(struct render *r, struct str s, bool upper);
struct value str_replace(struct render *r, struct str s, struct str from, struct str to, int64_t count);
struct value split_lines(struct render *r, struct str s);
struct value str_braces(struct render *r, struct str s, const struct args *args); /* str.format */
struct value str_percent(struct render *r, struct str format, const struct value *items, size_t n);
/* json.dumps with Hugging Face's defaults. indent < 0: one line. */
bool put_json(struct render *r, struct value v, struct buf *out, bool ascii, int indent,
              struct str item_separator, struct str key_separator, bool sort_keys);
bool int_arg(struct render *r, struct value v, int64_t otherwise,
             int64_t *out); /* V_ABSENT and none: otherwise */

#endif
