// oci-image writes an OCI image archive from finished layers: no daemon, no
// network, no clock. The same inputs give the same bytes.
//
//	oci-image --name NAME --out ARCHIVE [flags] LAYER.tar...
//
// The archive is an OCI image layout in a tar file, as "ctr images import",
// "docker load" and "podman load" read it. Layers are uncompressed tar files
// and are stored as they are, in the order given.
package main

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// repeated collects a flag that may be given several times.
type repeated []string

func (r *repeated) String() string     { return strings.Join(*r, " ") }
func (r *repeated) Set(s string) error { *r = append(*r, s); return nil }

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "oci-image:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("oci-image", flag.ExitOnError)
	name := flags.String("name", "", "full `name` of the image, such as localhost/postgres:17")
	out := flags.String("out", "", "`file` to write")
	arch := flags.String("arch", runtime.GOARCH, "processor `architecture`")
	user := flags.String("user", "", "user the container runs as, `UID:GID`")
	workdir := flags.String("workdir", "", "working `directory`")
	stop := flags.String("stop-signal", "", "`signal` that stops the container")
	var entrypoint, cmd, env, labels, annotations, volumes, ports repeated
	flags.Var(&entrypoint, "entrypoint", "one `argument` of the entry point; repeat for more")
	flags.Var(&cmd, "cmd", "one `argument` of the default command; repeat for more")
	flags.Var(&env, "env", "environment variable, `NAME=VALUE`; may be repeated")
	flags.Var(&labels, "label", "label of the configuration, `NAME=VALUE`; may be repeated")
	flags.Var(&annotations, "annotation", "annotation of the manifest, `NAME=VALUE`; may be repeated")
	flags.Var(&volumes, "volume", "`path` that containers keep outside the image; may be repeated")
	flags.Var(&ports, "port", "`port` that the image listens on, such as 5432/tcp; may be repeated")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: oci-image --name NAME --out ARCHIVE [flags] LAYER.tar...")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *name == "" || *out == "" || flags.NArg() == 0 {
		flags.Usage()
		return errors.New("--name, --out and at least one layer are needed")
	}

	image := Image{Name: *name, Arch: *arch, Config: Config{
		User: *user, Env: env, Entrypoint: entrypoint, Cmd: cmd, WorkingDir: *workdir, StopSignal: *stop,
		Volumes: set(volumes), ExposedPorts: set(ports),
	}}
	var err error
	if image.Config.Labels, err = pairs("label", labels); err != nil {
		return err
	}
	if image.Annotations, err = pairs("annotation", annotations); err != nil {
		return err
	}
	for _, path := range flags.Args() {
		layer, err := readLayer(path)
		if err != nil {
			return err
		}
		image.Layers = append(image.Layers, layer)
	}
	return writeFile(*out, image)
}

func set(values []string) map[string]struct{} {
	if len(values) == 0 {
		return nil
	}
	result := map[string]struct{}{}
	for _, value := range values {
		result[value] = struct{}{}
	}
	return result
}

func pairs(flagName string, values []string) (map[string]string, error) {
	if len(values) == 0 {
		return nil, nil
	}
	result := map[string]string{}
	for _, value := range values {
		key, text, found := strings.Cut(value, "=")
		if !found || key == "" {
			return nil, fmt.Errorf("--%s %q is not NAME=VALUE", flagName, value)
		}
		result[key] = text
	}
	return result, nil
}

// readLayer refuses what is not an uncompressed tar: its digest would be right
// and the image would fail only when a container starts.
func readLayer(path string) (Layer, error) {
	file, err := os.Open(path)
	if err != nil {
		return Layer{}, err
	}
	defer file.Close()
	if _, err := tar.NewReader(file).Next(); err != nil && !errors.Is(err, io.EOF) {
		return Layer{}, fmt.Errorf("layer %s is not an uncompressed tar file: %w", path, err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return Layer{}, err
	}
	digest, size, err := digestOf(file)
	return Layer{Path: path, Digest: digest, Size: size}, err
}

// writeFile writes beside the target first: a reader never sees half an archive.
func writeFile(out string, image Image) error {
	file, err := os.CreateTemp(filepath.Dir(out), ".oci-image-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if err := image.Write(file); err != nil {
		file.Close()
		return err
	}
	if err := errors.Join(file.Chmod(0o644), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), out)
}

func mustJSON(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // only plain structs get here
	}
	return text
}
