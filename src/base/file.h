/*
 * file.h - whole files: mapped, read, written.
 *
 * Threads: any. Errors: ERR_FILE with the path and the system's reason.
 */
#ifndef THINKD_BASE_FILE_H
#define THINKD_BASE_FILE_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

struct file_map {
    const unsigned char *ptr; /* read only */
    size_t len;
};

/* Maps a regular file; an empty one maps to len 0. The bytes change if someone else writes the file, so
 * what was checked at the border is only as good as the file's owner. */
enum err_code file_map(struct file_map *map, const char *path, struct err *err);
void file_unmap(struct file_map *map); /* a zeroed map is fine */

/* Reads at most bytes_max; a longer file is an error that names the limit. path "-" reads standard input. */
enum err_code file_read(struct buf *out, const char *path, size_t bytes_max, struct err *err);
/* Writes beside and renames, so that readers see the old file or the new one, never half of one. */
enum err_code file_write(const char *path, struct str bytes, struct err *err);

#endif
