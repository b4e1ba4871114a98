/*
 * models.h - files of tiny models with random weights, in the test's folder.
 */
#ifndef THINKD_TESTS_MODELS_H
#define THINKD_TESTS_MODELS_H

/* Two of the same weights: in tiny a thought may begin, thinker's prompt opens it. name tells tests apart. The paths are the caller's. */
void models_make(const char *name, char **tiny, char **thinker);

/* One whose refusals begin so; the path is the caller's. */
char *models_make_refusing(const char *name, const char *opening);

#endif
