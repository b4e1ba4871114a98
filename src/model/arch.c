/*
 * arch.c - the architectures, one row each.
 *
 * All rows are the same transformer: RMS norm before attention and before the feed-forward, rotary
 * positions, grouped-query attention, a gated feed-forward, residuals. A row says what a family has beyond
 * that; shape.c reads its numbers, weights.c its tensors, forward.c computes it.
 */
#include "model/model_impl.h"

#include <stdio.h>
#include <string.h>

/*
 * Where the differences come from:
 *   llama     Llama 1-3, Mistral, SmolLM2: files hold q and k permuted so that neighbours are pairs; Llama 3.1's
 *             long context is rope_freqs.weight. Mistral 7B 0.1 has a window in every layer.
 *   qwen2     Qwen2, Qwen2.5 and what was distilled into them (2024): biases on q, k and v.
 *   qwen3     no biases, a norm on each head's q and k (2025). qwen3moe: the same with experts.
 *   gemma3    Gemma 3 (2025): norms behind as well as before, norms of heads, gelu gates, scaled embeddings; five
 *             layers with a window and a rotation of their own, then one that sees all.
 *   phi3      Phi-3, Phi-3.5, Phi-4 (2024): fused tensors, longrope; Phi-3-mini has a window in every layer.
 *   gpt-oss   (2025) biases everywhere, sinks, a window in every other layer, experts with clamped gates.
 */
/* clang-format off */
static const struct architecture architectures[] = {
    /* name       rotation         gate       pattern local base  tensors and steps */
    { "qwen3",    ROPE_HALVES,     GATE_SILU, 0,      0,     HAS_QK_NORM },
    { "llama",    ROPE_NEIGHBOURS, GATE_SILU, 1,      0,     HAS_ROPE_FREQS | MAY_HAVE_BIAS },
    { "qwen2",    ROPE_HALVES,     GATE_SILU, 0,      0,     HAS_QKV_BIAS },
    { "qwen3moe", ROPE_HALVES,     GATE_SILU, 0,      0,     HAS_QK_NORM | HAS_EXPERTS },
    { "gemma3",   ROPE_HALVES,     GATE_GELU, 6,      10000, HAS_QK_NORM | HAS_POST_NORMS | HAS_EMBD_SCALE },
    { "phi3",     ROPE_HALVES,     GATE_SILU, 1,      0,     HAS_FUSED_QKV | HAS_FUSED_UP | HAS_ROPE_FACTORS },
    { "gpt-oss",  ROPE_HALVES,     GATE_OAI,  2,      0,     HAS_QKV_BIAS | HAS_OUT_BIAS | HAS_LATE_NAME | HAS_SINKS |
                                                             HAS_EXPERTS | HAS_EXPERT_BIAS },
};
/* clang-format on */

const struct architecture *architecture_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(architectures); i++)
        if (str_is(name, architectures[i].name))
            return &architectures[i];
    return NULL;
}

enum err_code architecture_read(const struct architecture **arch, const struct gguf *g, struct err *err)
{
    struct str name;
    enum err_code code = gguf_text(g, "general.architecture", &name, err);
    if (code)
        return code;
    *arch = architecture_find(name);
    if (*arch)
        return ERR_OK;
    char known[160] = "";
    for (size_t i = 0; i < ARRAY_LEN(architectures); i++) {
        size_t len = strlen(known);
        snprintf(known + len, sizeof known - len, "%s%s", len ? ", " : "", architectures[i].name);
    }
    return err_set(err, ERR_FORMAT, NULL, "Architecture '%.*s' is not one that this build knows: %s.",
                   STR_ARG(str_slice(name, 0, 40)), known);
}
