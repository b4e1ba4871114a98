/*
 * models.h - files of tiny models with random weights, in the test's folder.
 */
#ifndef THINKD_TESTS_MODELS_H
#define THINKD_TESTS_MODELS_H

/* Both have the same weights; in tiny a thought may begin, thinker's prompt opens it. name tells tests apart; key NULL, or one key
 * more and its text. The paths are the caller's. */
char *models_make_tiny(const char *name, const char *key, const char *value);
char *models_make_thinker(const char *name, const char *key, const char *value);

/* Its vocabulary and its template have harmony's channels. */
char *models_make_channels(const char *name);

#endif
