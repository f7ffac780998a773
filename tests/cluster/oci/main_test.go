package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func makeLayer(t *testing.T, directory, name, content string) string {
	t.Helper()
	path := filepath.Join(directory, name)
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	if err := errors.Join(
		writer.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))}),
		func() error { _, err := io.WriteString(writer, content); return err }(),
		writer.Close(),
		os.WriteFile(path, buffer.Bytes(), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	return path
}

func readArchive(t *testing.T, path string) ([]string, map[string][]byte) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var names []string
	contents := map[string][]byte{}
	for reader := tar.NewReader(file); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return names, contents
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name)
		if contents[header.Name], err = io.ReadAll(reader); err != nil {
			t.Fatal(err)
		}
	}
}

func TestImageIsReproducible(t *testing.T) {
	directory := t.TempDir()
	layer := makeLayer(t, directory, "program", "text")
	var archives [2][]byte
	for i := range archives {
		out := filepath.Join(directory, "image.tar")
		if err := run([]string{"--name", "localhost/a:1", "--out", out, "--label", "b=2", "--label", "a=1", layer}); err != nil {
			t.Fatal(err)
		}
		var err error
		if archives[i], err = os.ReadFile(out); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Fatal("two runs differ")
	}
}

func TestEveryDigestMatchesItsBlob(t *testing.T) {
	directory := t.TempDir()
	first, second := makeLayer(t, directory, "first", "1"), makeLayer(t, directory, "second", "2")
	out := filepath.Join(directory, "image.tar")
	if err := run([]string{"--name", "localhost/a/b:tag", "--out", out, "--entrypoint", "/first", "--entrypoint", "run",
		"--user", "65532:65532", "--annotation", "k=v=w", first, second, first}); err != nil {
		t.Fatal(err)
	}
	names, contents := readArchive(t, out)
	if names[0] != "oci-layout" || names[1] != "index.json" || len(names) != 6 {
		t.Fatalf("unexpected files: %v", names)
	}
	for name, content := range contents {
		if digest, found := strings.CutPrefix(name, "blobs/sha256/"); found {
			if got, _, _ := digestOf(bytes.NewReader(content)); got != "sha256:"+digest {
				t.Errorf("%s holds %s", name, got)
			}
		}
	}
	var top index
	var list manifest
	var config imageConfig
	for _, step := range []struct {
		blob   func() []byte
		result any
	}{
		{func() []byte { return contents["index.json"] }, &top},
		{func() []byte { return contents[blobPath(top.Manifests[0].Digest)] }, &list},
		{func() []byte { return contents[blobPath(list.Config.Digest)] }, &config},
	} {
		if err := json.Unmarshal(step.blob(), step.result); err != nil {
			t.Fatal(err)
		}
	}
	if len(list.Layers) != 3 || len(config.RootFS.DiffIDs) != 3 || config.RootFS.DiffIDs[0] != config.RootFS.DiffIDs[2] {
		t.Errorf("layers %v, diff IDs %v", list.Layers, config.RootFS.DiffIDs)
	}
	if config.Config.User != "65532:65532" || len(config.Config.Entrypoint) != 2 || list.Annotations["k"] != "v=w" {
		t.Errorf("configuration %+v, annotations %v", config, list.Annotations)
	}
	if top.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != "tag" {
		t.Errorf("index %+v", top)
	}
}

func TestLayerThatIsNotATarIsRejected(t *testing.T) {
	directory := t.TempDir()
	layer, out := filepath.Join(directory, "layer"), filepath.Join(directory, "image.tar")
	if err := os.WriteFile(layer, bytes.Repeat([]byte{0x1f, 0x8b}, 600), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{"--name", "localhost/a:1", "--out", out, layer}); err == nil {
		t.Fatal("accepted")
	}
	if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("left a file behind")
	}
}
