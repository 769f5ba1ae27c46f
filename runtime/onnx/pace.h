// Pausing a thread that works in the background.
#ifndef CLARY_ONNX_PACE_H
#define CLARY_ONNX_PACE_H

#include <stdbool.h>

typedef struct clary_pace clary_pace;

// clary_pace_begin lets the calling thread pause again and again while others
// of the process are busy, until clary_pace_end on the same thread. NULL, which
// clary_pace_end bears, where that cannot be had.
clary_pace *clary_pace_begin(void);
void clary_pace_end(clary_pace *p);

#endif
