/* What the hand-written kernels share.

   Every kernel has one form: the lengths of the swept axes, a pointer for each argument of the
   function, a pointer for each result. An argument held fixed is one number behind its pointer,
   and a result has only the axes that it varies with. REAL is double or float; tgmath.h picks the
   function of that type, and OpenMP's simd loops its vector form from libmvec. */

#ifndef KERNEL_H
#define KERNEL_H

#include <tgmath.h>

#ifndef REAL
#define REAL double
#endif

#define KERNEL(name) void name(const long *sizes, const REAL *const *in, REAL *const *out)

/* Below this many points, waking a second thread costs more than it saves. */
#define PARALLEL_FROM 8192

#endif
