/*
 * text_impl.h - what the files of text/ share about tokenizers.
 *
 * A tokenizer is four parts: the vocabulary's lookups (vocab.c), the special tokens (special.c), for
 * byte-level BPE the splitter into words (split.c), and one merge loop (merge.c) that BPE and SPM feed with
 * their own rule for which neighbours may join (bpe.c, spm.c). tokenizer.c owns and drives them.
 */
#ifndef THINKD_TEXT_TEXT_IMPL_H
#define THINKD_TEXT_TEXT_IMPL_H

#include "base/arena.h"
#include "text/text.h"

#define GUARD_BYTE     ((char)0xFF)      /* see text_guard; no UTF-8 text holds it */
#define TEXT_BYTES_MAX (64 * MIB)        /* one text to encode; positions fit 32 bits with room */
#define TOKENS_MAX     ((size_t)1 << 22) /* 16 times the largest vocabulary in use */
#define NO_TOKEN       (-1)

/* --- vocab.c: strings to ids ---------------------------------------------------------------------- */

/* An open-addressing index over an array of keys that outlives it. The first of two equal keys wins. */
struct str_index {
    const struct str *keys;
    int32_t *slots; /* NO_TOKEN: empty */
    size_t mask;
};
void str_index_init(struct str_index *x, const struct str *keys, size_t capacity);
void str_index_put(struct str_index *x, int32_t id);
int32_t str_index_find(const struct str_index *x, struct str key); /* or NO_TOKEN */
void str_index_free(struct str_index *x);

/* GPT-2's printable spelling of bytes, undone. False: some character stands for no byte. */
bool bytes_from_spelling(struct str spelling, struct arena *arena, struct str *bytes);
void bytes_to_spelling(struct str bytes, struct buf *out);

/* --- special.c: tokens that are found in text as they are spelled ---------------------------------- */

struct special {
    struct str text;
    int32_t id;
    bool plain; /* a user-defined token that is text like any other: found in every mode, never guarded */
    bool eats;  /* blanks behind it belong to it (Phi 3) */
};
struct specials {
    struct special *rows; /* sorted by text */
    size_t count;
    bool starts[256]; /* whether any row starts with this byte */
};
void specials_sort(struct specials *s);
/* The longest special token that text starts with, NULL when none. plain_only leaves out all others. */
const struct special *specials_match(const struct specials *s, struct str text, bool plain_only);

/* --- split.c: text to words ------------------------------------------------------------------------ */

struct splitter; /* the compiled patterns of one pre-tokenizer; read-only after open */
struct word_sink {
    enum err_code (*put)(void *ctx, struct str word, struct err *err);
    void *ctx;
};
/* ERR_FORMAT: unknown name. */
enum err_code splitter_open(struct splitter **out, struct str name, struct err *err);
void splitter_close(struct splitter *s);
bool splitter_ignores_merges(const struct splitter *s); /* a word that is a token is never built by merges */
/* Cuts valid UTF-8 into words, in order and without loss. */
enum err_code splitter_run(const struct splitter *s, struct str text, struct word_sink sink, struct err *err);

/* --- merge.c: joins neighbours, best rank first ------------------------------------------------------ */

struct symbol {
    int32_t id; /* token, or NO_TOKEN; MERGED: gone into its left neighbour */
    uint32_t start;
    uint32_t prev, next; /* indices; SYMBOL_NONE at the ends */
};
#define MERGED      (-2)
#define SYMBOL_NONE UINT32_MAX

/* Whether the two neighbours may join, as which token and with which rank (lower joins first). */
typedef bool merge_rule(const struct tokenizer *t, struct str text, const struct symbol *left,
                        const struct symbol *right, uint32_t right_end, uint32_t *rank, int32_t *id);
/* Scratch of one encode call. */
struct merger {
    struct symbol *symbols;
    size_t n_symbols, symbols_cap;
    uint64_t *heap; /* rank << 32 | index of the left symbol */
    size_t n_heap, heap_cap;
};
void merger_free(struct merger *m);
struct symbol *merger_add(struct merger *m, uint32_t start, int32_t id);
/* Joins until no pair may. Symbols must cover text from its start. Walk the result along next from 0. */
void merger_run(struct merger *m, const struct tokenizer *t, struct str text, merge_rule *rule);
uint32_t symbol_end(const struct merger *m, const struct symbol *s, struct str text);

/* --- the tokenizer ------------------------------------------------------------------------------------ */

/* (left, right) to the token they join to. rank orders the joins. */
struct merge_row {
    int32_t left, right; /* left NO_TOKEN: empty row */
    uint32_t rank;
    int32_t id;
};

struct tokenizer {
    struct arena arena;
    bool spm;
    size_t n;
    struct str *text;  /* [n] as the vocabulary spells it */
    struct str *bytes; /* [n] what it stands for */
    uint8_t *types;    /* [n] enum token_type */
    bool *ends;        /* [n] */
    int32_t bos, eos, eot, unk;
    bool add_bos, add_eos, add_space_prefix;
    struct str_index by_text;  /* every token */
    struct str_index by_bytes; /* tokens that merges may build: normal ones */
    struct specials specials;
    int32_t byte_ids[256]; /* the token of a single byte, or NO_TOKEN */

    struct splitter *splitter; /* BPE */
    struct merge_row *merges;
    size_t merges_mask;

    uint32_t *ranks;        /* SPM: [n] 0 for the highest score */
    size_t token_bytes_max; /* longest normal token */
    bool splits_at_blanks;  /* SPM: no token has a blank after another character */
};

/* What encoding one text carries along. */
struct encoder {
    const struct tokenizer *t;
    struct ids *ids;
    struct merger merger;
    struct buf prefixed; /* SPM's text */
};

/* Appends bytes as valid UTF-8: what is none of a character becomes U+FFFD (detok.c). */
void put_valid(struct str bytes, struct buf *out);

enum err_code bpe_open(struct tokenizer *t, const struct vocabulary *v, struct err *err);
enum err_code bpe_encode(struct encoder *e, struct str text, struct err *err);
enum err_code spm_open(struct tokenizer *t, const struct vocabulary *v, struct err *err);
/* after_special: the text stands at the start or right behind a special token. */
enum err_code spm_encode(struct encoder *e, struct str text, bool after_special, struct err *err);

/* --- replies: reply.c, calls.c ---------------------------------------------------------------------------- */

enum marker {
    MARK_NONE,
    MARK_THINK_OPEN,
    MARK_THINK_CLOSE,
    MARK_CALL_OPEN,
    MARK_CALL_CLOSE,
    MARK_CALL_PART, /* parts a call's name from its arguments */
    MARK_START,     /* harmony's five; MARK_CONSTRAIN stays in the header as text */
    MARK_CHANNEL,
    MARK_CONSTRAIN,
    MARK_MESSAGE,
    MARK_END
};
enum call_style { CALLS_NONE, CALLS_TAGGED, CALLS_MISTRAL, CALLS_LLAMA, CALLS_HARMONY };

#define FAMILY_MARKERS_MAX 5
/* One way to mark thoughts or calls: a row of a table in reply.c. */
struct reply_family {
    const char *name;
    const char *needle; /* stands in templates of this family */
    const char *token;  /* must be in the vocabulary; NULL: none need be */
    enum call_style calls;
    struct {
        enum marker kind;
        const char *text;
    } markers[FAMILY_MARKERS_MAX];
};

struct reply_format {
    const struct tokenizer *t;
    char name[48];
    const struct reply_family *thoughts, *calls; /* calls of harmony: the same row; NULL: none */
    struct {
        int32_t id; /* those that are tokens */
        enum marker kind;
    } markers[2 * FAMILY_MARKERS_MAX];
    size_t n_markers;
    struct ids closing, opening;
    size_t n_to_head; /* reply_closing_to_head */
};
/* The text of the format's marker of that kind; empty: it has none. */
struct str reply_marker_text(const struct reply_format *f, enum marker kind);

#endif
