/*
 * corpus.h - what the files of the corpus tool share: a document as it was drawn, its tokens, rows of tokens.
 *
 *   document.c  draws a document from the exam's generators, by the mixture
 *   render.c    document -> chat template -> tokens, with the engine's own template and tokenizer
 *   pack.c      tokens -> rows -> batches -> the bytes of a shard
 *   shard.c     the same from several threads, in an order that does not depend on them
 *   corpus.c    the command
 *
 * Threads:   a mixture and a renderer are read-only after they were made. Everything else belongs to one thread.
 * Ownership: documents, token lists and packers are their maker's; zeroed ones are empty and valid.
 */
#ifndef THINKD_TRAIN_CORPUS_H
#define THINKD_TRAIN_CORPUS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/rng.h"
#include "exam/exam.h"
#include "text/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define UNRELATED_MAX 10 /* problems of one document that have nothing to do with each other */
#define TURNS_MAX     (UNRELATED_MAX + EXAM_EARLIER_MAX + 1)

/* --- document.c ----------------------------------------------------------------------------------------------- */

struct turn {
    bool tool; /* said is a tool's result */
    struct buf said, think, recheck, text, answer;
    struct buf flawed,
        mended; /* the working with a wrong end, and what a recheck makes of it; mostly empty */
};

struct document {
    const struct exam_family *family; /* of the last problem; NULL: the book's */
    int level;
    bool new_wording;
    enum exam_effort effort;
    struct buf system, tools; /* may be empty; tools is a JSON array */
    struct turn turns[TURNS_MAX];
    int turns_len;
};

/* Which documents are drawn. Zeroed but for split: training documents of all families by the mixture's table. */
struct mixture {
    enum exam_split split;
    const struct exam_family *family; /* only this one, not by the table; NULL: all */
    int level;                        /* of family; 0: any */
    bool effort_given;
    enum exam_effort effort;
    /* Where factored (mixture_read_factors): percent, by exam_family_at's order, and what they make of the table's weights. */
    bool factored;
    unsigned factors[64][EXAM_LEVELS_MAX], weights[64];
    const struct exam_book *book; /* problems that people wrote, or NULL */
    uint64_t book_permille;       /* of the problems drawn */
};

/* Lines "family level percent" that scale the table's weight of that level: what is learned already is asked less. A level
 * that is not named keeps its weight. */
enum err_code mixture_read_factors(struct mixture *m, const char *path, struct err *err);
/* One line a family and level that training draws: name, level, the table's weight. */
void mixture_list(FILE *out);
int mixture_levels(const struct mixture *m, const struct exam_family *f); /* that may be asked for; 0: none */
void document_draw(struct document *d, const struct mixture *m, struct rng *rng, struct exam_problem *p);
struct str document_family(const struct document *d); /* its name */
void document_put_json(const struct document *d, const struct buf *prompt,
                       struct buf *out); /* prompt may be NULL */
void document_free(struct document *d);

/* --- render.c ------------------------------------------------------------------------------------------------- */

/* A token of a training row: its id and two marks. The loss counts the prediction of a COUNTED token. A FIRST token begins a
 * document, which sees nothing of what stands before it in the row; padding begins with one too. */
enum { TOKEN_ID_MASK = 0x3fff, TOKEN_FIRST = 0x4000, TOKEN_COUNTED = 0x8000 };

struct tokens {
    uint16_t *ptr;
    size_t len, cap;
};
void tokens_free(struct tokens *t);

struct renderer;
struct renderer_config {
    const char *tokenizer; /* tokenizer.json of the trainer's tokenizers package */
    const char *template;  /* the chat template, a file */
    const char *close;     /* the sentence that closes a thought early */
    const char *
        requests; /* a JSON array of requests beyond the model, or NULL: asked in place of some generated ones */
};
enum err_code renderer_open(struct renderer **out, const struct renderer_config *cfg, struct err *err);
void renderer_close(struct renderer *r); /* NULL is fine */
const struct tokenizer *renderer_tokenizer(const struct renderer *r);

/* What a document is rendered with; one for each thread, zero-initialised. */
struct render_scratch {
    struct buf text;
    struct ids ids;
};
void render_scratch_free(struct render_scratch *s);
/* Draws the kind of document (thinking off, cut short, told to go on) and replaces *out by its tokens. */
enum err_code render_document(const struct renderer *r, const struct document *d, struct rng *rng,
                              struct render_scratch *s, struct tokens *out, struct err *err);
/* The prompt alone, as the engine would make it for the document's last turn. */
enum err_code render_prompt(const struct renderer *r, const struct document *d, bool think, struct buf *out,
                            struct err *err);

/* --- pack.c --------------------------------------------------------------------------------------------------- */

#define ROW_LENGTHS_MAX 6

/* A batch holds rows of one length, the same number of tokens whatever the length. */
struct shape {
    size_t lengths[ROW_LENGTHS_MAX]; /* ascending; a document goes into the shortest row that holds it */
    size_t lengths_len;
    size_t batch_tokens; /* a multiple of every length */
};

struct packer;
struct packer *packer_open(const struct shape *shape, size_t batches_max);
void packer_close(struct packer *p);
void packer_put(struct packer *p, const struct tokens *document);
bool packer_full(const struct packer *p); /* batches_max are complete: what is put now is lost */

struct packer_counts {
    int64_t too_long;                   /* longer than the longest row, and left out */
    int64_t documents, tokens, counted; /* of the batches */
};
struct packer_counts packer_counts(const struct packer *p);
/* "thinkdS1", batch_tokens and the number of batches as uint32, the row length of each batch as uint32, zeros up to a
 * multiple of 64, then the tokens as uint16; all little-endian. */
void packer_put_shard(const struct packer *p, struct buf *out);

/* --- shard.c -------------------------------------------------------------------------------------------------- */

struct shard_config {
    const struct mixture *mixture;
    const struct renderer *renderer;
    const struct shape *shape;
    uint64_t seed;
    size_t batches;
    int threads; /* at least 1; the shard is the same for any number */
};
enum err_code shard_make(const struct shard_config *cfg, struct packer *p, struct err *err);

#endif
