module pgbackup.dev/tests/cluster/oci

go 1.24
