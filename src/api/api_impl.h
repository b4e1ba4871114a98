/*
 * api_impl.h - what the files of api/ share, group by group; each header reads on its own.
 *
 * A request becomes a turn: decoded and checked on a worker (decode), its prompt made, handed to the conductor as a job,
 * answered by the job's sink.
 */
#ifndef THINKD_API_API_IMPL_H
#define THINKD_API_API_IMPL_H

#include "api/beside_impl.h" /* seals, webhooks, later, sweeps, WebSockets */
#include "api/call_impl.h"   /* the API, a request that was let in, endpoint and field tables */
#include "api/object_impl.h" /* items, conversations, completions, files */
#include "api/reply_impl.h"  /* a job as JSON */
#include "api/stored_impl.h" /* responses in the store */
#include "api/turn_impl.h"   /* a request for text */
#include "api/write_impl.h"  /* members, errors, base64, pages */

#endif
