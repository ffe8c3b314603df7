#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""
Makes a key and its certificate, to sign modules with; the root
has OpenSSL's library, and not its program.

    signing_key.py KEY.pem CERT.der
"""

import ctypes
import sys

SIGNER = b"rxe-odp test"
ASCII = 0x1001
DAY = 86400


def library():
    lib = ctypes.CDLL("libcrypto.so.3")
    for name in ("EVP_PKEY_Q_keygen", "X509_new", "X509_get_serialNumber",
                 "X509_getm_notBefore", "X509_getm_notAfter",
                 "X509_get_subject_name", "EVP_sha256", "BIO_new_file"):
        getattr(lib, name).restype = ctypes.c_void_p
    return lib


def pointer(value):
    assert value, "OpenSSL failed"
    return ctypes.c_void_p(value)


def write(lib, path, how, *args):
    bio = pointer(lib.BIO_new_file(path.encode(), b"w"))
    assert how(bio, *args) == 1
    lib.BIO_free(bio)


def main(key_path, cert_path):
    lib = library()
    key = pointer(lib.EVP_PKEY_Q_keygen(None, None, b"RSA",
                                        ctypes.c_size_t(2048)))
    cert = pointer(lib.X509_new())
    lib.X509_set_version(cert, ctypes.c_long(2))
    lib.ASN1_INTEGER_set(pointer(lib.X509_get_serialNumber(cert)),
                         ctypes.c_long(1))
    lib.X509_gmtime_adj(pointer(lib.X509_getm_notBefore(cert)),
                        ctypes.c_long(0))
    lib.X509_gmtime_adj(pointer(lib.X509_getm_notAfter(cert)),
                        ctypes.c_long(DAY))
    name = pointer(lib.X509_get_subject_name(cert))
    lib.X509_NAME_add_entry_by_txt(name, b"CN", ASCII, SIGNER, -1, -1, 0)
    lib.X509_set_issuer_name(cert, name)
    lib.X509_set_pubkey(cert, key)
    assert lib.X509_sign(cert, key, pointer(lib.EVP_sha256()))
    write(lib, key_path, lib.PEM_write_bio_PrivateKey, key, None, None, 0,
          None, None)
    write(lib, cert_path, lib.i2d_X509_bio, cert)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} KEY.pem CERT.der")
    main(*sys.argv[1:])
