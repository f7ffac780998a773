#!/bin/bash
# Run by mmdebstrap once all packages are in: turns a Debian root file system
# with PostgreSQL into what the image holds. $1 is its root.
# Never delete below the root's /dev here: it can be the machine's own.
set -euo pipefail

cd "$1"
version_dir=$(echo usr/lib/postgresql/*)
major=${version_dir##*/}

# LLVM serves the JIT only, which no test uses: 150 MB.
rm -rf "$version_dir"/lib/{bitcode,llvmjit*} usr/lib/llvm-* usr/lib/*-linux-gnu/{libLLVM*,libz3.so*}

# Debian's Perl scripts choose among several servers of one machine. Here is one:
# its programs take the scripts' place, and Perl's modules go with them: 50 MB.
for script in usr/bin/*; do
  if [ "$(readlink "$script")" = ../share/postgresql-common/pg_wrapper ]; then
    rm "$script"
  fi
done
rm -f usr/bin/pg_{config,conftool,buildext,virtualenv} usr/bin/pg_*cluster{,s} usr/share/postgresql-common/pg_*
rm -rf usr/share/{perl,perl5} usr/lib/*-linux-gnu/{perl,libperl.so*}
for program in "$version_dir"/bin/*; do
  ln -sf "../../$program" "usr/bin/${program##*/}"
done

rm -rf var/lib/apt/lists/* var/cache/{apt,debconf}/* var/log/*
rm -f etc/hostname etc/resolv.conf # copies of this machine's

# As the official image has it.
sed -i "s/^#listen_addresses = .*/listen_addresses = '*'/" "usr/share/postgresql/$major/postgresql.conf.sample"
mkdir -p var/lib/postgresql/data docker-entrypoint-initdb.d
chroot . chown -R postgres:postgres /var/lib/postgresql
chmod 1777 var/lib/postgresql/data
find etc/alternatives -name "*.gz" -delete # manual pages, which are not there
