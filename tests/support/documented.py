"""Device API §3: the statuses of each endpoint, typed in apart from the emulator's own table."""

from __future__ import annotations

__all__ = ["COMMON", "STATUSES"]

COMMON = {"ANY": {401, 412}, "POST": {411, 413}}
"""Every endpoint may add 412, and 401 for an invalid bearer; every POST 411 and 413."""

_KEYMGMT = "200 400 401 403 406 409 418"
_UPGRADE_GET = "200 201 202 401 403 404 406 409"

_TABLE = f"""
GET /api/auth/token 200 403 409
POST /api/auth/token 200 400 401 403 409
GET /api/auth/init 200 403 406 409
POST /api/auth/init 200 400 401 403 406 409
POST /api/auth/ext/init 200 400 401 403 409
POST /api/auth/ext/validate 200 400 401 403 406 409
POST /api/auth/ext/mac 200 400 401 403 409
POST /api/auth/ext/request 200 400 403 409
POST /api/auth/ext/token 200 400 401 403 406 409
GET /api/system/status 200
GET /api/system/version 200
GET /api/system/checkin 200
POST /api/system/checkin 200 400 401
GET /api/system/config 200 401 403
POST /api/system/config 200 400 401 403 406 409
GET /api/system/config/attestation 200 401 409
POST /api/system/config/provisioning 200 400 403 406
GET /api/system/selftest 200 401
GET /api/system/reboot 200 401 403 409
GET /api/system/shutdown 200 401 403 409
GET /api/system/upgrade 200 401 403
POST /api/system/upgrade/upload_fw 200 401 403 406 413
GET /api/system/upgrade/check_fw {_UPGRADE_GET}
GET /api/system/upgrade/install_fw 200 401 403 406 409
GET /api/system/upgrade/usbmode 200 401 403 406 409
POST /api/system/upgrade/upload_ui 200 401 403 406 413
GET /api/system/upgrade/check_ui {_UPGRADE_GET}
GET /api/system/upgrade/install_ui 200 401 403 406 409
GET /api/keymgmt/list 200 401 403 406 409 418
GET /api/keymgmt/list/{{offset}} 200 401 403 406 409 418
GET /api/keymgmt/list/{{offset}}/{{count}} 200 401 403 406 409 418
POST /api/keymgmt/search 200 400 401 403 406 409 410 418
GET /api/keymgmt/get/{{kid}} {_KEYMGMT}
DELETE /api/keymgmt/delete/{{kid}} 200 400 401 403 406 409
POST /api/keymgmt/create {_KEYMGMT}
POST /api/keymgmt/update {_KEYMGMT}
POST /api/keymgmt/import {_KEYMGMT}
POST /api/keymgmt/derive {_KEYMGMT}
POST /api/crypto/hmac/hash 200 400 401 403 406 409
POST /api/crypto/hmac/verify {_KEYMGMT}
POST /api/crypto/exdsa/sign {_KEYMGMT}
POST /api/crypto/exdsa/verify {_KEYMGMT}
POST /api/crypto/cipher/encrypt {_KEYMGMT}
POST /api/crypto/cipher/decrypt {_KEYMGMT}
POST /api/crypto/cipher/wrap {_KEYMGMT}
POST /api/crypto/cipher/unwrap {_KEYMGMT}
POST /api/crypto/ecdh {_KEYMGMT}
POST /api/crypto/pqc/mlkem/encaps {_KEYMGMT}
POST /api/crypto/pqc/mlkem/decaps {_KEYMGMT}
POST /api/crypto/pqc/mldsa/sign {_KEYMGMT}
POST /api/crypto/pqc/mldsa/verify 200 400 401 403 409 418 795
GET /api/logger/key 200 401 403 409
GET /api/logger/list 200 401 403 404 406 409
GET /api/logger/list/{{offset}} 200 401 403 404 406 409
GET /api/logger/{{id}} 200 401 403 404 406 409
GET /api/storage/unlock 200 401 403 406 409
GET /api/storage/unlock/rw 200 401 403 406 409
GET /api/storage/unlock/ro 200 401 403 406 409
GET /api/storage/lock 200 401 403 406 409
"""

STATUSES = {
    (line.split()[0], line.split()[1]): {int(status) for status in line.split()[2:]}
    for line in _TABLE.strip().splitlines()
}
