#!/bin/sh
# Tries a package of hem-provider in a fresh root, as root: sh try_deb.sh PACKAGE.deb
# Says a line that begins with "tried:" for each thing, and stops at the first that fails (tools/make_deb.py).
set -eu
package=$1
done_() { printf 'tried: %s\n' "$*"; }
# Files of the system's Python, by name and content.
python_of_the_system() { find /usr/lib/python3* /usr/local/lib/python3* -type f ! -name '*.pyc' -exec sha256sum {} + | sort | sha256sum; }
as_user() { runuser -u ada -- env -i HOME=/home/ada PATH=/usr/bin:/bin LC_ALL=C.UTF-8 "$@"; }

apt-get install -y -qq --no-install-recommends python3 >/dev/null
before=$(python_of_the_system)
apt-get install -y -qq "$package" gnutls-bin p11-kit man-db bash zsh fish >/dev/null
done_ "installs, with what it depends on and recommends"
useradd --create-home ada

as_user hem --version
done_ "hem runs"
as_user age-plugin-hem --version
as_user sigstore-kms-hem --version
done_ "the programs run that age and cosign start"
as_user hem help E-TLS-NAME >/dev/null
as_user hem help recipes/nginx | cmp - /usr/share/doc/hem-provider/docs/recipes/nginx.md
done_ "hem help explains an error, and has $(find -L /usr/share/doc/hem-provider/docs -name '*.md' | wc -l) pages"
as_user hem demo
done_ "hem demo"

module=$(as_user hem pkcs11 path)
test -f "$module"
p11-kit list-modules | grep -A3 '^hem:\|^module: hem' | grep -q libhem_pkcs11
done_ "p11-kit knows the module"

cd /home/ada
printf 'my passphrase\n' >user.txt
printf 'master passphrase\n' >admin.txt
chmod 600 user.txt admin.txt
chown ada user.txt admin.txt
as_user hem emulator serve --state /home/ada/device.hem --init --passphrase-file user.txt \
    --admin-passphrase-file admin.txt --https-port 0 --http-port 0 --cloud-port 0 >ready 2>/dev/null &
for second in $(seq 30); do grep -q ^ready ready && break || sleep 1; done
url=$(sed -n 's/^ready https=\([^ ]*\).*/\1/p' ready)
mkdir -p /etc/hem
cp /home/ada/device.hem.ca.pem /etc/hem/ca.pem
cp user.txt /etc/hem/passphrase
chown ada /etc/hem/passphrase
cat >/etc/hem/config.toml <<END
[[device]]
name = "office"
url = "$url"
ca_file = "/etc/hem/ca.pem"
passphrase_file = "/etc/hem/passphrase"
END
chmod 644 /etc/hem/config.toml /etc/hem/ca.pem
as_user hem pkcs11 test
done_ "hem pkcs11 test, with the configuration of /etc/hem"
as_user p11tool --list-tokens | grep -q 'token=office'
done_ "p11tool --list-tokens shows the device"

as_user hem keys create P-256 --label web --use sign >/dev/null
cd /home/ada
as_user sh -c 'cd; echo letter > letter.txt; hem openssl config > openssl.cnf; hem openssl pem web > web.key
    OPENSSL_CONF=openssl.cnf openssl dgst -sha256 -sign web.key -out letter.sig letter.txt
    hem keys public web --format pem > web.pem
    openssl dgst -sha256 -verify web.pem -signature letter.sig letter.txt'
done_ "openssl signs as hem openssl config says: $(as_user sh -c 'grep -o -m1 "engines = \|providers = " openssl.cnf') "
if [ -e "$(openssl version -e | sed 's/.*"\(.*\)"/\1/')/hem.so" ]; then
    as_user openssl engine -t hem | grep -q available
    done_ "openssl finds the engine without a configuration"
fi
as_user hem agent start </etc/hem/passphrase >/dev/null 2>&1 || as_user hem agent start
as_user hem agent status >/dev/null
as_user hem sign letter.txt --key web --output /home/ada/by-agent.sig
as_user hem agent stop
done_ "the agent starts, and signs"
as_user sh -c 'printf "other\n" > vault-test; hem keys create AES256 --label keyring --use aead >/dev/null'
as_user hem keyring init >/dev/null
as_user /usr/lib/hem-provider/bin/python -c '
import keyring
from hem_provider.adapters.keyring import HemKeyring
own = HemKeyring()
own.set_password("mail", "ada", "secret")
assert own.get_password("mail", "ada") == "secret"'
done_ "keyring keeps a password"

apt-get install -y -qq --no-install-recommends gnupg age >/dev/null
as_user sh -c 'hem keys create X25519 --label box --use derive >/dev/null
    hem age recipient box >box.pub; hem age identity box -o box.key; echo "Dear Ada" >dear.txt
    age -R box.pub -o dear.age dear.txt; age --decrypt -i box.key dear.age | cmp - dear.txt'
done_ "age decrypts by age-plugin-hem"
as_user sh -c 'hem gpg setup --name "Ada <ada@example.org>" >/dev/null && hem gpg status
    gpg --batch --clearsign dear.txt && gpg --verify dear.txt.asc; gpgconf --kill all'
done_ "gpg signs with a key of the device, set up by hem gpg: $(gpg --version | sed -n 1p)"
as_user hem exporter --once | grep -q '^hem_up{device="office"} 1'
done_ "hem exporter tells how the device is"
as_user hem log collect
done_ "hem log collect makes a copy of the log"
as_user sh -c 'hem keys create AES256 --label cluster --use aead >/dev/null
    hem kms serve --socket /home/ada/kms.sock --key cluster & made=$!
    for second in $(seq 20); do test -S kms.sock && break || sleep 1; done
    test -S kms.sock; kill $made'
done_ "hem kms serves"

test -s /usr/share/man/man1/hem.1.gz
test -s /usr/share/man/man1/sigstore-kms-hem.1.gz
man --warnings=w hem-keys >/dev/null
man --warnings=w age-plugin-hem >/dev/null
bash -n /usr/share/bash-completion/completions/hem
zsh -n /usr/share/zsh/vendor-completions/_hem
fish -n /usr/share/fish/vendor_completions.d/hem.fish
for unit in agent.socket agent.service exporter.service log-collect.timer log-collect@.timer log-export@.service \
    log-follow@.service; do test -f "/usr/lib/systemd/user/hem-$unit"; done
test -d /usr/share/doc/hem-provider/examples/monitoring
done_ "manual, completion and units are there"

test "$before" = "$(python_of_the_system)"
test -z "$(find /usr/lib/hem-provider -newer /home/ada/ready -print)"
done_ "nothing of the system's Python is changed, and nothing was written into the package's own environment"

# An upgrade: the same with a later version.
dpkg-deb -R "$package" /tmp/later
sed -i 's/^Version: .*/&+later/' /tmp/later/DEBIAN/control
dpkg-deb -b /tmp/later /tmp/later.deb >/dev/null
kept() { find /home/ada /etc/hem -type f ! -name 'device.hem*' ! -path '*/.cache/*' -exec sha256sum {} + | sort; }
files=$(kept)
apt-get install -y -qq /tmp/later.deb >/dev/null
dpkg-query -W -f '${Version}\n' hem-provider | grep -q later
as_user hem keys list >/dev/null
test "$files" = "$(kept)"
done_ "an upgrade leaves what is the user's"

apt-get remove -y -qq hem-provider >/dev/null
test ! -e /usr/bin/hem
test ! -e /usr/lib/hem-provider
test -z "$(find /usr -xtype l -name '*hem*')"
test "$files" = "$(kept)"
done_ "removal leaves what is the user's, and nothing else"
dpkg --purge hem-provider
test "$files" = "$(kept)"
test "$before" = "$(python_of_the_system)"
done_ "and so does a purge"
