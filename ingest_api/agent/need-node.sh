#!/bin/sh
# Node 18 or newer and npm: installed where that can be done (as root on Debian, saying so), asked for elsewhere.
enough() {
	command -v npm >/dev/null && node -e 'process.exit(+(parseInt(process.versions.node) < 18))' 2>/dev/null
}
enough && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	echo "no Node 18 with npm here: installing nodejs and npm with apt-get" >&2
	apt-get --quiet=2 update >&2 && apt-get --quiet=2 install --yes --no-install-recommends nodejs npm >&2
fi
enough && exit 0
echo "The browser agent needs Node 18 or newer and npm: install nodejs and npm." >&2
exit 1
