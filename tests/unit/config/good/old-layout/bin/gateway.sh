#!/bin/bash
echo gateway
