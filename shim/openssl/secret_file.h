/* Files that hold a secret: who may write and read them. */
#ifndef HEM_SECRET_FILE_H
#define HEM_SECRET_FILE_H

/* Opens a regular file for reading that belongs to this user or root, that nobody else may change or
 * replace, and that nobody else may read (the group may, where it is root's). The same rules as in
 * hem_provider/trust.py. -1 with an error in the queue that names what is wrong and the cure. */
int hem_secret_file_open(const char *path, const char *what);

#endif
