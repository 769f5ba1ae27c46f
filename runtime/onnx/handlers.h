// Keeping the process's signal handlers.
#ifndef CLARY_ONNX_HANDLERS_H
#define CLARY_ONNX_HANDLERS_H

typedef struct clary_handlers clary_handlers;

// clary_handlers_save remembers what every signal does; clary_handlers_restore
// has it so again, where it has been changed, and releases s. Both bear NULL.
clary_handlers *clary_handlers_save(void);
void clary_handlers_restore(clary_handlers *s);

#endif
