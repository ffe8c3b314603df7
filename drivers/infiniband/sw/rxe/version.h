/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The driver's version: modinfo, the line at load and packages take it from here. */
#ifndef RXE_VERSION_H
#define RXE_VERSION_H

#define RXE_VERSION "0.9.0"

#endif
