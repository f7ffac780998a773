// fake-gcs-server with the part of Google's XML API that it lacks and that
// Rust's object_store speaks: plain uploads, multipart uploads and paged lists.
// The rest, and all that is stored, is fake-gcs-server's.
package main

import (
	"errors"
	"flag"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/fsouza/fake-gcs-server/fakestorage"
)

// What fake-gcs-server takes for its own host name: with it in every request the
// server answers under whatever name or address a test reaches it.
const publicHost = "storage.googleapis.com"

func main() {
	listen := flag.String("listen", "127.0.0.1:4443", "address to listen on, HOST:PORT")
	folder := flag.String("folder", "", "folder to store in")
	bucket := flag.String("bucket", "backups", "bucket that is there from the start")
	flag.Parse()
	if *folder == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := serve(*listen, *folder, *bucket); err != nil {
		log.Fatal(err)
	}
}

func serve(listen, folder, bucket string) error {
	server, err := fakestorage.NewServerWithOptions(fakestorage.Options{
		NoListener:  true,
		PublicHost:  publicHost,
		StorageRoot: filepath.Join(folder, "objects"),
	})
	if err != nil {
		return err
	}
	server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: bucket})
	uploads, err := newUploads(filepath.Join(folder, "uploads"))
	if err != nil {
		return err
	}

	// As process 1 of a container it would not end by itself.
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	failed := make(chan error, 1)
	front := &http.Server{Addr: listen, Handler: &xmlAPI{server, uploads}}
	go func() { failed <- front.ListenAndServe() }()
	log.Printf("listening on http://%s, bucket %s", listen, bucket)
	select {
	case err = <-failed:
	case <-stop:
		err = front.Close()
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
