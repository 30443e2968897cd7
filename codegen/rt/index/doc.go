// Package index keeps vectors of files, such as the embeddings of a photo collection, in a folder on disk, and finds those that are
// nearest to a query. It is what an application embeds to search its pictures; the commands index and search of generated binaries
// stand on it.
//
// The nouns:
//
//   - [Index]: an open index. Create opens it for changes, Open for reading.
//   - [File]: what an index knows of a file, by its [Name]: a root folder and a path in it.
//   - content: the bytes of a file, by their SHA-256. Files of equal content share a vector.
//   - slot: the place of a vector.
//
// One process at a time changes an index; any number search in it meanwhile, and see each change when it is complete. A change is
// complete or has not happened, whenever the process ends. Names, vectors and all else that is read back are compared with checksums:
// what was cut or damaged is [ErrDamaged], and never a wrong result. [Check] reads all, and removes what is damaged.
//
// The search is exact: it reads all vectors, as fast as memory gives them. They are stored as f16, in panels of 16, like the weights
// of a matrix product, whose kernels do the work for up to four queries at a time.
//
// The folder holds records.db, a database of package bbolt, of what is known of files; vectors.f16, the vectors; and lock, which the
// process that changes the index has locked. Reading an index needs the weights of no model, but an index is of one model, and of
// settings of reading: see [Config].
//
// The package is not there on js. It embeds nothing, and reads no pictures: who adds files does.
package index
