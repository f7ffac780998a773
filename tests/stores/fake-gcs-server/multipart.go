package main

import (
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Google's limit for all parts but the last; its error code is the same, too.
const minPart = 5 << 20

// uploads are the multipart uploads under way: folder/ID/NUMBER holds a part.
// They are known until the server ends; an abort leaves nothing on disk.
type uploads struct {
	folder string
	mutex  sync.Mutex
	byID   map[string]*upload
}

type upload struct {
	id, bucket, object string
	header             http.Header
	started            time.Time
	parts              map[int]part
}

type part struct {
	etag string
	size int64
}

// newUploads removes what an earlier server was sent: nobody can complete it.
func newUploads(folder string) (*uploads, error) {
	if err := os.RemoveAll(folder); err != nil {
		return nil, err
	}
	return &uploads{folder: folder, byID: map[string]*upload{}}, os.MkdirAll(folder, 0o700)
}

func (u *uploads) path(id string, number int) string {
	return filepath.Join(u.folder, id, strconv.Itoa(number))
}

// find is called with the mutex held.
func (u *uploads) find(r *request) (*upload, error) {
	found, ok := u.byID[r.query.Get("uploadId")]
	if !ok || found.bucket != r.bucket || found.object != r.object {
		return nil, refuse(http.StatusNotFound, "NoSuchUpload", "The requested upload was not found.")
	}
	return found, nil
}

// forget is called with the mutex held.
func (u *uploads) forget(id string) error {
	delete(u.byID, id)
	return os.RemoveAll(filepath.Join(u.folder, id))
}

func (api *xmlAPI) startUpload(w http.ResponseWriter, r *request) error {
	if _, err := api.server.Backend().GetBucket(r.bucket); err != nil {
		return refuse(http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist.")
	}
	id := rand.Text()
	if err := os.Mkdir(filepath.Join(api.uploads.folder, id), 0o700); err != nil {
		return err
	}
	api.uploads.mutex.Lock()
	defer api.uploads.mutex.Unlock()
	api.uploads.byID[id] = &upload{id, r.bucket, r.object, r.Header.Clone(), time.Now(), map[int]part{}}
	answer(w, http.StatusOK, struct {
		XMLName               xml.Name `xml:"InitiateMultipartUploadResult"`
		Bucket, Key, UploadId string
	}{Bucket: r.bucket, Key: r.object, UploadId: id})
	return nil
}

func (api *xmlAPI) putPart(w http.ResponseWriter, r *request) error {
	number, err := strconv.Atoi(r.query.Get("partNumber"))
	if err != nil || number < 1 || number > 10000 {
		return refuse(http.StatusBadRequest, "InvalidArgument", "partNumber must be from 1 to 10000.")
	}
	api.uploads.mutex.Lock()
	found, err := api.uploads.find(r)
	api.uploads.mutex.Unlock()
	if err != nil {
		return err
	}

	// Under another name first: a part that breaks off must not replace a whole one.
	file, err := os.CreateTemp(filepath.Join(api.uploads.folder, found.id), "receiving-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	sum := md5.New()
	size, err := io.Copy(io.MultiWriter(file, sum), r.Body)
	if err != nil {
		return err
	}

	api.uploads.mutex.Lock()
	defer api.uploads.mutex.Unlock()
	if _, err := api.uploads.find(r); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), api.uploads.path(found.id, number)); err != nil {
		return err
	}
	etag := strconv.Quote(hex.EncodeToString(sum.Sum(nil)))
	found.parts[number] = part{etag, size}
	w.Header().Set("ETag", etag)
	return nil
}

type completion struct {
	Part []struct {
		PartNumber int
		ETag       string
	}
}

func (api *xmlAPI) completeUpload(w http.ResponseWriter, r *request) error {
	var asked completion
	if err := xml.NewDecoder(r.Body).Decode(&asked); err != nil || len(asked.Part) == 0 {
		return refuse(http.StatusBadRequest, "MalformedCompleteMultipartUploadRequest", "The XML you provided was not well-formed or did not validate against our published schema.")
	}
	api.uploads.mutex.Lock()
	defer api.uploads.mutex.Unlock()
	found, err := api.uploads.find(r)
	if err != nil {
		return err
	}

	var contents []io.Reader
	last := 0
	for index, wanted := range asked.Part {
		have, ok := found.parts[wanted.PartNumber]
		switch {
		case !ok || strings.Trim(wanted.ETag, `"`) != strings.Trim(have.etag, `"`):
			return refuse(http.StatusBadRequest, "InvalidPart", "Part %d could not be found, or its ETag differs.", wanted.PartNumber)
		case wanted.PartNumber <= last:
			return refuse(http.StatusBadRequest, "InvalidPartOrder", "The list of parts was not in ascending order.")
		case have.size < minPart && index < len(asked.Part)-1:
			return refuse(http.StatusBadRequest, "EntityTooSmall", "Part %d has %d bytes; all parts but the last need %d.", wanted.PartNumber, have.size, minPart)
		}
		last = wanted.PartNumber
		file, err := os.Open(api.uploads.path(found.id, wanted.PartNumber))
		if err != nil {
			return err
		}
		defer file.Close()
		contents = append(contents, file)
	}
	object, err := api.store(found.bucket, found.object, found.header, io.MultiReader(contents...))
	if err != nil {
		return err
	}
	if err := api.uploads.forget(found.id); err != nil {
		return err
	}
	object.headers(w)
	answer(w, http.StatusOK, struct {
		XMLName                     xml.Name `xml:"CompleteMultipartUploadResult"`
		Location, Bucket, Key, ETag string
	}{Location: fmt.Sprintf("http://%s/%s/%s", publicHost, found.bucket, found.object), Bucket: found.bucket, Key: found.object, ETag: strconv.Quote(object.Etag)})
	return nil
}

func (api *xmlAPI) abortUpload(w http.ResponseWriter, r *request) error {
	api.uploads.mutex.Lock()
	defer api.uploads.mutex.Unlock()
	found, err := api.uploads.find(r)
	if err != nil {
		return err
	}
	if err := api.uploads.forget(found.id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

type uploadEntry struct{ Key, UploadId, Initiated string }

// listUploads lets a test see that nothing is left in flight.
func (api *xmlAPI) listUploads(w http.ResponseWriter, r *request) error {
	api.uploads.mutex.Lock()
	defer api.uploads.mutex.Unlock()
	var entries []uploadEntry
	for _, found := range api.uploads.byID {
		if found.bucket == r.bucket && strings.HasPrefix(found.object, r.query.Get("prefix")) {
			entries = append(entries, uploadEntry{found.object, found.id, found.started.UTC().Format(time.RFC3339Nano)})
		}
	}
	slices.SortFunc(entries, func(a, b uploadEntry) int { return strings.Compare(a.Key+a.UploadId, b.Key+b.UploadId) })
	answer(w, http.StatusOK, struct {
		XMLName xml.Name `xml:"ListMultipartUploadsResult"`
		Bucket  string
		Upload  []uploadEntry
	}{Bucket: r.bucket, Upload: entries})
	return nil
}
