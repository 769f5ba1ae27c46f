#include "internal.h"

#include <stdlib.h>

static OrtStatus *arena_of(const OrtSession *session, int index, bool forced, OrtAllocator **out) {
  OrtMemoryInfo *where = NULL;
  OrtStatus *s = forced ? ORT(CreateCpuMemoryInfo)(device_allocator, mem_type_default, &where)
                        : ORT(CreateMemoryInfo)("Cuda", device_allocator, index, mem_type_default, &where);
  if (s == NULL) s = ORT(CreateAllocator)(session, where, out);
  if (where != NULL) ORT(ReleaseMemoryInfo)(where);
  return s;
}

int64_t clary_arena(const OrtSession *session, int index, bool forced) {
  OrtAllocator *arena = NULL;
  OrtKeyValuePairs *stats = NULL;
  int64_t bytes = 0;
  OrtStatus *s = arena_of(session, index, forced, &arena);
  if (s == NULL) s = ORT(AllocatorGetStats)(arena, &stats);
  const char *text = s == NULL && stats != NULL ? ORT(GetKeyValue)(stats, "TotalAllocated") : NULL;
  if (text != NULL) bytes = strtoll(text, NULL, 10);
  if (stats != NULL) ORT(ReleaseKeyValuePairs)(stats);
  if (arena != NULL) ORT(ReleaseAllocator)(arena);
  if (s != NULL) ORT(ReleaseStatus)(s);
  return bytes;
}
