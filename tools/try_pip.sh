#!/bin/sh
# Tries what pip installs in a fresh root, as root: sh try_pip.sh WHEEL-OR-SOURCES
# Says a line that begins with "tried:" for each thing, and stops at the first that fails (tools/try_wheels.py).
set -eu
file=$1
case $file in *.whl) kind=wheel ;; *) kind=sources ;; esac
done_() { printf 'tried: %s\n' "$*"; }
as_user() { runuser -u ada -- env HOME=/home/ada PATH=/home/ada/venv/bin:/usr/bin:/bin LC_ALL=C.UTF-8 "$@"; }
fails() { if "$@"; then echo "went well: $*"; exit 1; fi; }
must_say() { # a line of a file
    grep -q -- "$1" "$2" || { echo "no '$1' in:"; cat "$2"; exit 1; }
}

apt-get install -y -qq --no-install-recommends python3 python3-venv >/dev/null
useradd --create-home ada
cd /home/ada
version=$(python3 -c 'import sys; print("3.%d" % sys.version_info.minor)')
as_user python3 -m venv venv
started=$(date +%s)

if [ $kind = sources ]; then
    fails as_user pip install "$file" >said 2>&1
    must_say "Python.h is missing: install the interpreter's headers (Debian: python3-dev)" said
    apt-get install -y -qq --no-install-recommends python3-dev >/dev/null # recommends a compiler, and needs none
    fails test -e /usr/bin/gcc
    fails as_user pip install "$file" >said 2>&1
    must_say "error: there is no C compiler" said
    done_ "without headers, and without a compiler, the source release says so"
    apt-get install -y -qq --no-install-recommends gcc libc6-dev python3-dev libssl-dev >/dev/null
    started=$(date +%s)
fi
as_user pip install -q "$file[emulator]"
done_ "pip installs the $kind for Python $version"
if [ $kind = wheel ]; then
    fails test -e /usr/bin/gcc
    if [ ! -e "$(find /usr/lib -name "libpython$version.so.1.0" | head -n 1)" ]; then
        as_user hem pkcs11 info >said 2>&1 || true
        must_say "apt-get install libpython$version" said
        done_ "where libpython is missing the package is named"
        apt-get install -y -qq --no-install-recommends "libpython$version" >/dev/null
    fi
fi

printf 'my passphrase\n' >user.txt
printf 'master passphrase\n' >admin.txt
chmod 600 user.txt admin.txt
mkdir -p .config/hem
chown -R ada .
as_user hem emulator serve --state device.hem --init --passphrase-file user.txt --admin-passphrase-file admin.txt \
    --https-port 0 --http-port 0 --cloud-port 0 >ready 2>/dev/null &
for second in $(seq 60); do grep -q ^ready ready && break || sleep 0.5; done
url=$(sed -n 's/^ready https=\([^ ]*\).*/\1/p' ready)
printf '[[device]]\nname = "office"\nurl = "%s"\nca_file = "/home/ada/device.hem.ca.pem"\npassphrase_file = "/home/ada/user.txt"\n' \
    "$url" >.config/hem/config.toml
chown ada .config/hem/config.toml
as_user hem pkcs11 test
done_ "hem pkcs11 test: the module signs, $(($(date +%s) - started)) s after the installation began"

apt-get install -y -qq --no-install-recommends opensc openssl >/dev/null
fails as_user hem demo >said 2>&1
must_say "needs the extra 'demo', which is not installed" said
as_user sh -c "$(sed 's/.*): //' said)" >/dev/null
as_user hem demo >said 2>&1 || { cat said; exit 1; }
test "$(grep -c '^✔' said)" -ge 13
fails grep '✘' said
done_ "hem demo, once what it names is installed: $(grep -c '^✔' said) steps"

fails as_user hem keyring list >said 2>&1
must_say "needs the extra 'keyring', which is not installed" said
as_user sh -c "$(sed 's/.*): //' said)" >/dev/null
as_user hem keyring init >/dev/null
echo secret | as_user keyring set mail ada
test "$(as_user keyring get mail ada)" = secret
done_ "keyring keeps a password"

module=$(as_user hem pkcs11 path)
as_user hem keys create P-256 --label web --use sign >/dev/null
echo 'Dear Ada' >letter
as_user pkcs11-tool --module "$module" --login --sign -m ECDSA-SHA256 --signature-format openssl \
    --label web --input-file letter --output-file letter.sig >/dev/null 2>&1
as_user hem keys public web --format pem >web.pem
openssl dgst -sha256 -verify web.pem -signature letter.sig letter
done_ "a program that is not Python signs: pkcs11-tool of OpenSC $(dpkg-query -W -f '${Version}' opensc)"
test -s venv/share/man/man1/hem.1
done_ "manual pages are in the environment"
