/* What ffchangeover --help prints. */

#ifndef HELP_H
#define HELP_H

void help_print(void);

#endif
