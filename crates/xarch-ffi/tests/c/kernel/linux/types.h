/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The types that a kernel's own header of this name has, for compiling xarch.h without a kernel. */
#ifndef KERNEL_TYPES_H
#define KERNEL_TYPES_H

typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
typedef int int32_t;

#endif
