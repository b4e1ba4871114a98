/*
 * split.c - the pre-tokenizers: how each model family cuts text into words before merging.
 *
 * A family is a row: its names in tokenizer.ggml.pre, and up to six regular expressions applied in turn, as in
 * the family's own tokenizer.json: the first cuts the text into what it matches and what lies between, the next
 * cuts each of those pieces alone (it sees nothing of the neighbours), and so on. To add a family, add a row
 * and known splits to tests/unit/text/split.c.
 *
 * Some families' tokenizer.json also composes characters (NFC). GGUF files do not say so and engines that read
 * them do not do it, so text goes through as it is and comes back unchanged.
 *
 * The patterns are written for the engines their authors used, where \s is Unicode's White_Space. PCRE2's adds
 * U+180E, so the table spells the class out (WS).
 *
 * PCRE2 runs compiled (JIT) code where the system allows writable-executable memory and interprets otherwise.
 * The text was validated before, so PCRE2 does not check it again. Match data lives for one call: a splitter
 * is read-only and any thread may use it.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/log.h"
#include "text/text_impl.h"

#include <pcre2.h>

#define WS       "\\t-\\r\\x{85}\\p{Z}" /* inside a class */
#define SPACE    "[" WS "]"
#define NO_SPACE "[^" WS "]"

#define CONTRACTIONS "'s|'t|'re|'ve|'m|'ll|'d"
#define TRAILING     SPACE "+(?!" NO_SPACE ")|" SPACE "+" /* blanks, but the last one goes with the next word */
#define GPT2         CONTRACTIONS "| ?\\p{L}+| ?\\p{N}+| ?[^" WS "\\p{L}\\p{N}]+|" TRAILING
/* Llama 3 and those that follow it differ in the digits one word may hold. */
#define LLAMA3(digits)                                                                                       \
    "(?i:" CONTRACTIONS ")|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits "| ?[^" WS                                 \
    "\\p{L}\\p{N}]+[\\r\\n]*|" SPACE "*[\\r\\n]+|" TRAILING
#define QWEN35                                                                                               \
    "(?i:" CONTRACTIONS ")|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^" WS                             \
    "\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" SPACE "*[\\r\\n]+|" TRAILING
#define SEED                                                                                                 \
    "(?i:" CONTRACTIONS ")|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^" WS "\\p{L}\\p{N}\\r\\n]+|" SPACE       \
    "*[\\r\\n]+|" TRAILING
/* o200k: a word is capitals then small letters; letters without case count as both. */
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define O200K(suffix, digits)                                                                                \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" suffix "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" suffix \
    "|" digits "| ?[^" WS "\\p{L}\\p{N}]+[\\r\\n/]*|" SPACE "*[\\r\\n]+|" TRAILING
#define CJK_DEEPSEEK "[\\x{4E00}-\\x{9FA5}\\x{800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+"
/* The letters of a time before some of \p{Lu}, \p{Ll} and \p{Lt} were any: DeepSeek's own list. */
/* clang-format off */
#define DEEPSEEK_LETTERS "A-Za-z\\x{B5}\\x{C0}-\\x{D6}\\x{D8}-\\x{F6}\\x{F8}-\\x{1BA}\\x{1BC}-\\x{1BF}" \
    "\\x{1C4}-\\x{293}\\x{295}-\\x{2AF}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37B}-\\x{37D}\\x{37F}" \
    "\\x{386}\\x{388}-\\x{38A}\\x{38C}\\x{38E}-\\x{3A1}\\x{3A3}-\\x{3F5}\\x{3F7}-\\x{481}" \
    "\\x{48A}-\\x{52F}\\x{531}-\\x{556}\\x{10A0}-\\x{10C5}\\x{13A0}-\\x{13F5}\\x{13F8}-\\x{13FD}" \
    "\\x{1C90}-\\x{1CBA}\\x{1CBD}-\\x{1CBF}\\x{1D00}-\\x{1D2B}\\x{1D6B}-\\x{1D77}\\x{1D79}-\\x{1D9A}" \
    "\\x{1E00}-\\x{1F15}\\x{1F18}-\\x{1F1D}\\x{1F20}-\\x{1F45}\\x{1F48}-\\x{1F4D}\\x{1F50}-\\x{1F57}" \
    "\\x{1F59}\\x{1F5B}\\x{1F5D}\\x{1F5F}-\\x{1F7D}\\x{1F80}-\\x{1FB4}\\x{1FB6}-\\x{1FBC}\\x{1FBE}" \
    "\\x{1FC2}-\\x{1FC4}\\x{1FC6}-\\x{1FCC}\\x{1FD0}-\\x{1FD3}\\x{1FD6}-\\x{1FDB}\\x{1FE0}-\\x{1FEC}" \
    "\\x{1FF2}-\\x{1FF4}\\x{1FF6}-\\x{1FFC}\\x{2102}\\x{2107}\\x{210A}-\\x{2113}\\x{2115}" \
    "\\x{2119}-\\x{211D}\\x{2124}\\x{2126}\\x{2128}\\x{212A}-\\x{212D}\\x{212F}-\\x{2134}\\x{2139}" \
    "\\x{213C}-\\x{213F}\\x{2145}-\\x{2149}\\x{214E}\\x{2183}\\x{2184}\\x{2C00}-\\x{2C7B}" \
    "\\x{2C7E}-\\x{2CE4}\\x{2CEB}-\\x{2CEE}\\x{2CF2}\\x{2CF3}\\x{A640}-\\x{A66D}\\x{A680}-\\x{A69B}" \
    "\\x{A722}-\\x{A76F}\\x{A771}-\\x{A787}\\x{A78B}-\\x{A78E}\\x{AB70}-\\x{ABBF}\\x{FB00}-\\x{FB06}" \
    "\\x{FB13}-\\x{FB17}\\x{FF21}-\\x{FF3A}\\x{FF41}-\\x{FF5A}\\x{10400}-\\x{1044F}\\x{104B0}-\\x{104D3}" \
    "\\x{104D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}\\x{10CC0}-\\x{10CF2}\\x{118A0}-\\x{118DF}" \
    "\\x{1E900}-\\x{1E943}"
/* clang-format on */
#define ASCII_PUNCT "[!-/:-@\\[-`{-~]"

enum { PATTERNS_MAX = 6 };

enum {
    WHOLE_WORDS = 1, /* a word that is a token is never built by merges */
    BEGINS = 2       /* texts begin with bos unless the file says otherwise */
};

struct pretokenizer {
    const char *names; /* blank between two */
    unsigned flags;
    const char *patterns[PATTERNS_MAX]; /* NULL behind the last */
};

static const struct pretokenizer pretokenizers[] = {
    { "qwen2 deepseek-r1-qwen stablelm2 hunyuan megrez kormo f2llmv2 grok-2 solar-open",
      0,
      { LLAMA3("\\p{N}") } },
    { "qwen35", 0, { QWEN35 } },
    { "llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral lfm2 midm-2.0",
      WHOLE_WORDS | BEGINS,
      { LLAMA3("\\p{N}{1,3}") } },
    { "seed-coder", 0, { SEED } },
    { "dbrx smaug-bpe chatglm-bpe glm4", 0, { LLAMA3("\\p{N}{1,3}") } },
    { "gpt-4o llama4 kanana2 minimax-m2", 0, { O200K("(?i:" CONTRACTIONS ")?", "\\p{N}{1,3}") } },
    { "tekken", WHOLE_WORDS | BEGINS, { O200K("", "\\p{N}") } },
    { "gpt-2 phi-2 jina-v1-en jina-v2-code roberta-bpe jina-es jina-de jina-v2-es jina-v2-de gigachat mpt "
      "olmo gpt-neox exaone4 jais trillion granite-docling",
      0,
      { GPT2 } },
    { "starcoder refact command-r smollm codeshell exaone minerva-7b mellum2", 0, { "\\p{N}", GPT2 } },
    { "falcon", 0, { "[\\p{P}$+<=>^~|`]+", GPT2, "[0-9][0-9][0-9]" } },
    { "default", 0, { "[\\p{P}$+<=>^~|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]" } },
    { "deepseek-llm",
      0,
      { "[\\r\\n]", SPACE "?[" DEEPSEEK_LETTERS "]+",
        SPACE "?[!-/:-~\\x{FF01}-\\x{FF0F}\\x{FF1A}-\\x{FF5E}\\x{2018}-\\x{201F}\\x{3000}-\\x{3002}]+",
        SPACE "+$", CJK_DEEPSEEK, "\\p{N}+" } },
    { "deepseek-coder", 0, { "[\\r\\n]", SPACE "?\\p{L}+", SPACE "?\\p{P}+", CJK_DEEPSEEK, "\\p{N}" } },
    { "deepseek-v3 hunyuan-dense",
      0,
      { "\\p{N}{1,3}", "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+",
        ASCII_PUNCT "[A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|" SPACE
                    "*[\\r\\n]+|" TRAILING } },
};

struct splitter {
    const struct pretokenizer *row;
    pcre2_code *codes[PATTERNS_MAX];
    size_t n_codes;
};

static const struct pretokenizer *find_row(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(pretokenizers); i++)
        for (struct str rest = str_from(pretokenizers[i].names); rest.len;) {
            size_t end = str_find(rest, STR(" "));
            if (str_eq(str_slice(rest, 0, end), name))
                return &pretokenizers[i];
            rest = end == SIZE_MAX ? STR("") : str_slice(rest, end + 1, rest.len);
        }
    return NULL;
}

enum err_code splitter_open(struct splitter **out, struct str name, struct err *err)
{
    const struct pretokenizer *row = find_row(name.len ? name : STR("default"));
    if (!row)
        return err_set(err, ERR_FORMAT, NULL, "The pre-tokenizer \"%.*s\" is not known.", STR_ARG(name));
    struct splitter *s = mem_zalloc(sizeof *s);
    s->row = row;
    for (; s->n_codes < PATTERNS_MAX && row->patterns[s->n_codes]; s->n_codes++) {
        int error;
        PCRE2_SIZE offset;
        pcre2_code *code = pcre2_compile((PCRE2_SPTR)row->patterns[s->n_codes], PCRE2_ZERO_TERMINATED,
                                         PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY, &error, &offset, NULL);
        if (!code) {
            splitter_close(s);
            return err_set(err, ERR_SERVER, NULL, "PCRE2 refuses a pattern of \"%.*s\" at %zu: error %d.",
                           STR_ARG(name), (size_t)offset, error);
        }
        if (pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) != 0)
            log_line(LOG_INFO, "text", "no JIT for the pre-tokenizer, interpreting it");
        s->codes[s->n_codes] = code;
    }
    *out = s;
    return ERR_OK;
}

void splitter_close(struct splitter *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_codes; i++)
        pcre2_code_free(s->codes[i]);
    mem_free(s);
}

bool vocabulary_begins_with_bos(struct str model, struct str pre)
{
    const struct pretokenizer *row = str_is(model, "gpt2") ? find_row(pre) : NULL;
    return str_is(model, "llama") || (row && row->flags & BEGINS);
}

bool splitter_ignores_merges(const struct splitter *s)
{
    return s->row->flags & WHOLE_WORDS;
}

/* --- running ----------------------------------------------------------------------------------------------- */

struct run {
    const struct splitter *s;
    pcre2_match_data *data; /* shared by the levels: what a match found is read before the next one */
    pcre2_match_context *context;
    struct word_sink sink;
};

/* Cuts a piece by pattern `level` and hands what it yields to the next; behind the last pattern are words. The
 * recursion is as deep as a row has patterns. */
static enum err_code cut(struct run *r, size_t level, struct str piece, struct err *err)
{
    if (piece.len == 0)
        return ERR_OK;
    if (level == r->s->n_codes)
        return r->sink.put(r->sink.ctx, piece, err);
    for (size_t at = 0; at < piece.len;) {
        int found = pcre2_match(r->s->codes[level], (PCRE2_SPTR)piece.ptr, piece.len, at, PCRE2_NO_UTF_CHECK,
                                r->data, r->context);
        if (found == PCRE2_ERROR_NOMATCH)
            return cut(r, level + 1, str_slice(piece, at, piece.len), err);
        if (found < 0)
            return err_set(err, ERR_SERVER, NULL, "The pre-tokenizer gave up on this text (PCRE2 error %d).",
                           found);
        const PCRE2_SIZE *span = pcre2_get_ovector_pointer(r->data);
        size_t from = span[0], to = span[1]; /* no pattern matches the empty string, so at advances */
        enum err_code code = cut(r, level + 1, str_slice(piece, at, from), err);
        if (!code)
            code = cut(r, level + 1, str_slice(piece, from, to), err);
        if (code)
            return code;
        at = to;
    }
    return ERR_OK;
}

enum err_code splitter_run(const struct splitter *s, struct str text, struct word_sink sink, struct err *err)
{
    struct run r = { .s = s, .sink = sink };
    r.data = pcre2_match_data_create(1, NULL);
    r.context = pcre2_match_context_create(NULL);
    if (!r.data || !r.context) {
        pcre2_match_context_free(r.context);
        pcre2_match_data_free(r.data);
        return err_set(err, ERR_SERVER, NULL, "Out of memory in the pre-tokenizer.");
    }
    /* The patterns backtrack over a run of blanks or letters a bounded number of times, so a limit that is
     * linear in the text never stops an honest one. */
    pcre2_set_match_limit(r.context, 1000000 + 32 * (uint32_t)text.len);
    enum err_code code = cut(&r, 0, text, err);
    pcre2_match_context_free(r.context);
    pcre2_match_data_free(r.data);
    return code;
}
