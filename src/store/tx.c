/*
 * tx.c - a transaction: writes recorded by any thread, run later by the writer.
 *
 * Each store_tx_ verb (jobs.c, objects.c) copies what it is given into the transaction's arena and names the function
 * that will do it; the writer runs them in order until one fails. What a transaction was told is never looked at again
 * by the thread that told it, so nothing here is locked.
 */
#include "store/store_impl.h"

struct store_tx *store_tx_open(void)
{
    struct store_tx *tx = mem_zalloc(sizeof *tx);
    tx->end = &tx->ops;
    return tx;
}

void store_tx_close(struct store_tx *tx)
{
    if (!tx)
        return;
    arena_free(&tx->arena);
    mem_free(tx);
}

struct op *tx_op(struct store_tx *tx, op_run *run)
{
    struct op *op = arena_alloc(&tx->arena, sizeof *op);
    op->run = run;
    *tx->end = op;
    tx->end = &op->next;
    return op;
}

struct str tx_copy(struct store_tx *tx, struct str s)
{
    return arena_str(&tx->arena, s);
}

enum err_code tx_run(const struct store_tx *tx, struct writing *w, struct err *err)
{
    enum err_code code = ERR_OK;
    for (const struct op *op = tx->ops; !code && op; op = op->next)
        code = op->run(w, op, err);
    return code;
}
