package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fsouza/fake-gcs-server/fakestorage"
)

// As Google's: what a list holds at most if it is not asked for less.
const maxKeys = 1000

// xmlAPI answers what fake-gcs-server does not, and hands it the rest.
type xmlAPI struct {
	server  *fakestorage.Server
	uploads *uploads
}

// request is one about /BUCKET or /BUCKET/OBJECT.
type request struct {
	*http.Request
	bucket, object string
	query          url.Values
}

// failure is what the XML API says when it refuses.
type failure struct {
	XMLName xml.Name `xml:"Error"`
	Status  int      `xml:"-"`
	Code    string
	Message string
}

func (f *failure) Error() string { return f.Code + ": " + f.Message }

func refuse(status int, code, format string, values ...any) error {
	return &failure{Status: status, Code: code, Message: fmt.Sprintf(format, values...)}
}

func (api *xmlAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Host = publicHost
	handle := api.handler(r)
	if handle == nil {
		api.server.HTTPHandler().ServeHTTP(w, r)
		return
	}
	bucket, object, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if err := handle(w, &request{r, bucket, object, r.URL.Query()}); err != nil {
		refused, ok := err.(*failure)
		if !ok {
			refused = &failure{Status: http.StatusInternalServerError, Code: "InternalError", Message: err.Error()}
		}
		answer(w, refused.Status, refused)
	}
}

// handler chooses; nil is for what fake-gcs-server answers itself, its JSON API among it.
func (api *xmlAPI) handler(r *http.Request) func(http.ResponseWriter, *request) error {
	bucket, object, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if bucket == "" || slices.Contains([]string{"storage", "upload", "download", "batch", "_internal"}, bucket) {
		return nil
	}
	query := r.URL.Query()
	multipart := query.Has("uploadId")
	switch {
	case object == "" && r.Method == http.MethodGet && query.Has("uploads"):
		return api.listUploads
	case object == "" && r.Method == http.MethodGet:
		return api.list
	case object == "":
		return nil
	case r.Method == http.MethodPost && query.Has("uploads"):
		return api.startUpload
	case r.Method == http.MethodPut && multipart:
		return api.putPart
	case r.Method == http.MethodPost && multipart:
		return api.completeUpload
	case r.Method == http.MethodDelete && multipart:
		return api.abortUpload
	case r.Method == http.MethodPut && r.Header.Get("X-Goog-Copy-Source") != "":
		return api.copy
	case r.Method == http.MethodPut && !query.Has("X-Goog-Algorithm"):
		return api.put
	}
	return nil
}

func answer(w http.ResponseWriter, status int, body any) {
	text, err := xml.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(err.Error())
	}
	w.Header().Set("Content-Type", "application/xml; charset=UTF-8")
	w.WriteHeader(status)
	io.WriteString(w, xml.Header)
	w.Write(text)
}

// stored is what the JSON API says of an object.
type stored struct{ Etag, Generation string }

// store puts an object by way of the JSON API. header is that of the XML request:
// both APIs take the attributes and metadata that object_store sends as headers.
func (api *xmlAPI) store(bucket, name string, header http.Header, content io.Reader) (stored, error) {
	query := url.Values{"uploadType": {"media"}, "name": {name}, "contentEncoding": {header.Get("Content-Encoding")}}
	if generation := header.Get("X-Goog-If-Generation-Match"); generation != "" {
		query.Set("ifGenerationMatch", generation)
	}
	inner := httptest.NewRequest(http.MethodPost, "/upload/storage/v1/b/"+url.PathEscape(bucket)+"/o?"+query.Encode(), content)
	inner.Header = header.Clone()
	// It would be unpacked on the way, where Google stores what it is sent.
	inner.Header.Del("Content-Encoding")
	result := httptest.NewRecorder()
	api.server.HTTPHandler().ServeHTTP(result, inner)

	switch result.Code {
	case http.StatusOK:
		var object stored
		err := json.Unmarshal(result.Body.Bytes(), &object)
		return object, err
	case http.StatusNotFound:
		return stored{}, refuse(result.Code, "NoSuchBucket", "The specified bucket does not exist.")
	case http.StatusPreconditionFailed:
		return stored{}, refuse(result.Code, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold.")
	}
	return stored{}, refuse(result.Code, "InvalidArgument", "%s", bytes.TrimSpace(result.Body.Bytes()))
}

func (s stored) headers(w http.ResponseWriter) {
	w.Header().Set("ETag", strconv.Quote(s.Etag))
	w.Header().Set("X-Goog-Generation", s.Generation)
}

func (api *xmlAPI) put(w http.ResponseWriter, r *request) error {
	object, err := api.store(r.bucket, r.object, r.Header, r.Body)
	if err != nil {
		return err
	}
	object.headers(w)
	return nil
}

func (api *xmlAPI) copy(w http.ResponseWriter, r *request) error {
	name, err := url.PathUnescape(strings.TrimPrefix(r.Header.Get("X-Goog-Copy-Source"), "/"))
	if err != nil {
		return refuse(http.StatusBadRequest, "InvalidArgument", "x-goog-copy-source: %v", err)
	}
	bucket, object, _ := strings.Cut(name, "/")
	source, err := api.server.GetObjectStreaming(bucket, object)
	if err != nil {
		return refuse(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
	}
	defer source.Close()
	header := r.Header.Clone()
	header.Set("Content-Type", source.ContentType)
	copied, err := api.store(r.bucket, r.object, header, source.Content)
	if err != nil {
		return err
	}
	copied.headers(w)
	answer(w, http.StatusOK, struct {
		XMLName xml.Name `xml:"CopyObjectResult"`
		ETag    string
	}{ETag: strconv.Quote(copied.Etag)})
	return nil
}

type content struct {
	Key          string
	Generation   int64
	LastModified string
	ETag         string
	Size         int64
}

type prefix struct{ Prefix string }

type listResult struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	Name                  string
	Prefix                string
	Delimiter             string `xml:",omitempty"`
	KeyCount              int
	IsTruncated           bool
	NextContinuationToken string `xml:",omitempty"`
	Contents              []content
	CommonPrefixes        []prefix
}

// list is fake-gcs-server's list of everything, cut into pages, of which it knows nothing.
func (api *xmlAPI) list(w http.ResponseWriter, r *request) error {
	options := fakestorage.ListOptions{Prefix: r.query.Get("prefix"), Delimiter: r.query.Get("delimiter")}
	objects, prefixes, err := api.server.ListObjectsWithOptions(r.bucket, options)
	if err != nil {
		return refuse(http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist.")
	}
	limit := maxKeys
	if asked, err := strconv.Atoi(r.query.Get("max-keys")); err == nil && asked < limit {
		limit = asked
	}
	// The token is the last name of the page before, so that both mean the same.
	after := max(r.query.Get("start-after"), r.query.Get("continuation-token"))

	attributes := map[string]fakestorage.ObjectAttrs{}
	names := slices.Clone(prefixes)
	for _, object := range objects {
		attributes[object.Name] = object
		names = append(names, object.Name)
	}
	slices.Sort(names)
	result := listResult{Name: r.bucket, Prefix: options.Prefix, Delimiter: options.Delimiter}
	for _, name := range names {
		if name <= after {
			continue
		}
		if result.KeyCount == limit {
			result.IsTruncated = true
			break
		}
		result.KeyCount++
		result.NextContinuationToken = name
		if object, ok := attributes[name]; ok {
			result.Contents = append(result.Contents, content{name, object.Generation, object.Updated.UTC().Format(time.RFC3339Nano), strconv.Quote(object.Etag), object.Size})
		} else {
			result.CommonPrefixes = append(result.CommonPrefixes, prefix{name})
		}
	}
	if !result.IsTruncated {
		result.NextContinuationToken = ""
	}
	answer(w, http.StatusOK, result)
	return nil
}
