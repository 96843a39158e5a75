<?php
// The pool may not read this.
echo "fine";
