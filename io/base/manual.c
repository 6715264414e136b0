/* Owns the manual page and the shell completion; `make install` puts both beside the program. */
#include "io/base/manual.h"

/* Text for roff: backslashes and hyphens keep their meaning, a leading dot or quote starts no request. */
static void roff(const char *text, FILE *f)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", f);
    for (; *text; text++) {
        if (*text == '\\')
            fputs("\\e", f);
        else if (*text == '-')
            fputs("\\-", f);
        else
            putc(*text, f);
        if (*text == '\n' && (text[1] == '.' || text[1] == '\''))
            fputs("\\&", f);
    }
}

static void man_options(const bg_option *o, FILE *f)
{
    for (; o && o->name; o++) {
        fputs(".TP\n", f);
        if (o->letter)
            fprintf(f, "\\fB\\-%c\\fR, ", o->letter);
        fputs("\\fB\\-\\-", f);
        roff(o->name, f);
        fputs("\\fR", f);
        if (o->argument)
            fprintf(f, " \\fI%s\\fR%s", o->argument, o->repeats == 2 ? "…" : "");
        putc('\n', f);
        roff(o->help, f);
        if (o->default_value || o->default_note) {
            fputs(" [default: ", f);
            roff(o->default_value ? o->default_value : o->default_note, f);
            putc(']', f);
        }
        putc('\n', f);
    }
}

static void man_stage(const bg_stage *s, FILE *f)
{
    fprintf(f, ".SS %s\n.B bitgap %s\n", s->name, s->name);
    if (*s->arguments)
        fprintf(f, ".I %s\n", s->arguments);
    fputs("[options]\n.PP\n", f);
    roff(s->about ? s->about : s->summary, f);
    putc('\n', f);
    man_options(s->options, f);
    fputs(".PP\nExample:\n.PP\n.RS\n.nf\n", f);
    roff(s->example, f);
    fputs("\n.fi\n.RE\n", f);
}

void bg_man_page(const bg_stage *const *stages, FILE *f)
{
    fprintf(
        f,
        ".TH BITGAP 1 \"\" \"bitgap %s\" \"User commands\"\n"
        ".SH NAME\nbitgap \\- how many bits a weight quantizer leaves on the table, and where\n"
        ".SH SYNOPSIS\n.B bitgap\n.I STAGE\n[arguments]\n.br\n.B bitgap help\n[\\fISTAGE\\fR|documents]\n"
        ".SH DESCRIPTION\n"
        "Every weight quantizer is a composition of a transform, a scope, a grid, a rounding and a coding; every\n"
        "result is a point (rate, distortion) set against the Shannon bound. Each stage reads documents (JSON) and\n"
        "writes one; \\fBbitgap help documents\\fR explains every field. \\fBmake report MODEL=\\fR\\fIDIR\\fR in the\n"
        "source tree runs the stages in order.\n",
        bg_version);
    for (int tools = 0; tools < 2; tools++) {
        fputs(tools ? ".SH TOOLS\n" : ".SH STAGES\n", f);
        for (const bg_stage *const *s = stages; *s; s++)
            if (!(*s)->is_tool == !tools)
                man_stage(*s, f);
    }
    fputs(".SH OPTIONS OF EVERY STAGE\n", f);
    man_options(bg_common_options, f);
    fputs(
        ".SH EXIT STATUS\n"
        ".TP\n0\ndone\n.TP\n1\na threshold was missed (\\-\\-fail\\-above)\n.TP\n2\nthe command line is wrong\n"
        ".TP\n3\na file or document is damaged, foreign or missing\n.TP\n4\nmemory, disk or a child program gave out\n",
        f);
}

static void completion_options(const bg_option *o, FILE *f)
{
    for (; o && o->name; o++)
        fprintf(f, " --%s", o->name);
}

void bg_completion(const bg_stage *const *stages, FILE *f)
{
    fputs(
        "# bash completion for bitgap\n"
        "_bitgap() {\n"
        "    local word=${COMP_WORDS[COMP_CWORD]} words=\n"
        "    if [ \"$COMP_CWORD\" -eq 1 ] || { [ \"$COMP_CWORD\" -eq 2 ] && [ \"${COMP_WORDS[1]}\" = help ]; }; then\n"
        "        words='help",
        f);
    for (const bg_stage *const *s = stages; *s; s++)
        fprintf(f, " %s", (*s)->name);
    fputs("'\n    elif [ \"${word#-}\" != \"$word\" ]; then\n        words='", f);
    completion_options(bg_common_options, f);
    fputs("'\n        case ${COMP_WORDS[1]} in\n", f);
    for (const bg_stage *const *s = stages; *s; s++) {
        fprintf(f, "        %s) words+='", (*s)->name);
        completion_options((*s)->options, f);
        fputs("' ;;\n", f);
    }
    fputs("        esac\n    fi\n"
          "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
          "}\n"
          "complete -o default -F _bitgap bitgap\n",
          f);
}
