/* What Swift sees of C. */
#include "wav2edge.h"
