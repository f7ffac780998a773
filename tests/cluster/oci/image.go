package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
)

const (
	mediaIndex    = "application/vnd.oci.image.index.v1+json"
	mediaManifest = "application/vnd.oci.image.manifest.v1+json"
	mediaConfig   = "application/vnd.oci.image.config.v1+json"
	mediaLayer    = "application/vnd.oci.image.layer.v1.tar"
)

// Config is the part of an OCI image configuration that a container starts with.
type Config struct {
	User         string              `json:",omitempty"`
	ExposedPorts map[string]struct{} `json:",omitempty"`
	Env          []string            `json:",omitempty"`
	Entrypoint   []string            `json:",omitempty"`
	Cmd          []string            `json:",omitempty"`
	Volumes      map[string]struct{} `json:",omitempty"`
	WorkingDir   string              `json:",omitempty"`
	Labels       map[string]string   `json:",omitempty"`
	StopSignal   string              `json:",omitempty"`
}

// Layer is an uncompressed tar file, so its digest is also its diff ID.
type Layer struct {
	Path   string
	Digest string
	Size   int64
}

// Image is everything that goes into the archive.
type Image struct {
	Name        string
	Arch        string
	Config      Config
	Annotations map[string]string
	Layers      []Layer
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

type imageConfig struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	Config       Config `json:"config"`
	RootFS       rootFS `json:"rootfs"`
}

type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

type index struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []descriptor `json:"manifests"`
}

// Write puts the small files first, so that a reader finds index.json, and with
// it the digest that names the whole image, without reading the layers.
func (image Image) Write(out io.Writer) error {
	config := imageConfig{Architecture: image.Arch, OS: "linux", Config: image.Config, RootFS: rootFS{Type: "layers"}}
	list := manifest{SchemaVersion: 2, MediaType: mediaManifest, Annotations: image.Annotations}
	for _, layer := range image.Layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, layer.Digest)
		list.Layers = append(list.Layers, descriptor{MediaType: mediaLayer, Digest: layer.Digest, Size: layer.Size})
	}
	configText := mustJSON(config)
	list.Config = describe(mediaConfig, configText)
	listText := mustJSON(list)
	top := describe(mediaManifest, listText)
	// containerd and docker take the name from the first, podman the tag from the second.
	top.Annotations = map[string]string{
		"io.containerd.image.name":          image.Name,
		"org.opencontainers.image.ref.name": tag(image.Name),
	}

	archive := tar.NewWriter(out)
	texts := []struct {
		name string
		text []byte
	}{
		{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{"index.json", mustJSON(index{SchemaVersion: 2, MediaType: mediaIndex, Manifests: []descriptor{top}})},
		{blobPath(top.Digest), listText},
		{blobPath(list.Config.Digest), configText},
	}
	for _, entry := range texts {
		if err := add(archive, entry.name, int64(len(entry.text)), bytes.NewReader(entry.text)); err != nil {
			return err
		}
	}
	written := map[string]bool{}
	for _, layer := range image.Layers {
		if written[layer.Digest] {
			continue
		}
		written[layer.Digest] = true
		if err := addLayer(archive, layer); err != nil {
			return err
		}
	}
	return archive.Close()
}

func addLayer(archive *tar.Writer, layer Layer) error {
	file, err := os.Open(layer.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	return add(archive, blobPath(layer.Digest), layer.Size, file)
}

// add leaves times, owners and everything else of the header empty: they would
// differ from build to build.
func add(archive *tar.Writer, name string, size int64, content io.Reader) error {
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size, Format: tar.FormatUSTAR}); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if _, err := io.Copy(archive, content); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func describe(mediaType string, text []byte) descriptor {
	digest, size, err := digestOf(bytes.NewReader(text))
	if err != nil {
		panic(err) // reading memory does not fail
	}
	return descriptor{MediaType: mediaType, Digest: digest, Size: size}
}

func digestOf(content io.Reader) (string, int64, error) {
	sum := sha256.New()
	size, err := io.Copy(sum, content)
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), size, err
}

func blobPath(digest string) string { return "blobs/" + strings.Replace(digest, ":", "/", 1) }

func tag(name string) string {
	_, last, found := strings.Cut(name[strings.LastIndex(name, "/")+1:], ":")
	if !found {
		return "latest"
	}
	return last
}
